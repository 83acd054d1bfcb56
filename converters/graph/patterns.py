"""Nodes by name or by pattern, as configurations and command lines choose them."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

import onnx

from converters.errors import ConfigError


def matching(model: onnx.ModelProto, patterns: Sequence[str], hint: str) -> frozenset[str]:
    """The names of the nodes that are meant.

    Args:
        model: its nodes.
        patterns: names, or patterns with `*`.
        hint: where the names can be seen.

    Raises:
        ConfigError: a pattern matches none.
    """
    names = [node.name for node in model.graph.node]
    found = set[str]()
    for pattern in patterns:
        meant = [pattern] if pattern in names else fnmatch.filter(names, pattern)  # a name may well hold brackets
        if not meant:
            raise ConfigError(f"no node is called {pattern!r}", hint=hint)
        found.update(meant)
    return frozenset(found)
