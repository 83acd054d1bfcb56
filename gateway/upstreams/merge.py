"""Several Tritons' repository indexes and statistics as those of one; pure.

Both come as JSON over HTTP and as messages of the same structure over gRPC (`merge_proto.py`), and are merged as one
kind of tree: dicts, lists, numbers and texts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from gateway.core.call import Body, Operation, Protocol
from gateway.upstreams import merge_proto

Row = dict[str, Any]

# What tells the entries of a list apart.
_KEYS = {"model_stats": ("name", "version"), "batch_stats": ("batch_size",), "memory_usage": ("type", "id")}
_IDENTITY = frozenset(name for names in _KEYS.values() for name in names)
_LATEST = frozenset({"last_inference"})  # milliseconds since the epoch


def merge(protocol: Protocol, operation: Operation, bodies: list[Body]) -> bytes:
    """The bodies of several Tritons' answers to REPOSITORY_INDEX or MODEL_STATISTICS as one.

    What a newer Triton says over gRPC beyond what is known here is left out.

    Raises:
        ValueError: one of them is not such an answer.
    """
    index = operation is Operation.REPOSITORY_INDEX
    try:
        if protocol is Protocol.GRPC:
            schema = merge_proto.INDEX if index else merge_proto.STATISTICS
            trees = [merge_proto.decode(body, schema) for body in bodies]
            if index:
                return merge_proto.encode({"models": merge_index(tree["models"] for tree in trees)}, schema)
            return merge_proto.encode(merge_statistics(trees), schema)
        parsed = [json.loads(body) for body in bodies]
        if not all(isinstance(tree, list if index else dict) for tree in parsed):
            raise TypeError
        whole = merge_index(parsed) if index else merge_statistics(parsed)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not an answer to {operation.value}") from error
    return json.dumps(whole, separators=(",", ":")).encode()


def merge_index(indexes: Iterable[list[Row]]) -> list[Row]:
    """Every model version once: as ready where anybody has it ready, and otherwise as the first one says."""
    found: dict[tuple[str, str], Row] = {}
    for index in indexes:
        for row in index:
            key = (row["name"], row.get("version", ""))
            known = found.get(key)
            if known is None or (row.get("state") == "READY" and known.get("state") != "READY"):
                found[key] = row
    # A Triton that never loaded a model lists it without a version; another one may know better.
    versioned = {name for name, version in found if version}
    return [row for (name, version), row in found.items() if version or name not in versioned]


def merge_statistics(statistics: list[Row]) -> Row:
    """Counts and times added up for each model version (and batch size), and the time of the last inference of all."""
    merged = statistics[0]
    for more in statistics[1:]:
        merged = _sum(merged, more)
    return merged


def _sum(one: Row, other: Row) -> Row:
    return {name: _sum_of(name, one.get(name), other.get(name)) for name in {**one, **other}}


def _sum_of(name: str, one: Any, other: Any) -> Any:
    if one is None or other is None or name in _IDENTITY:
        return other if one is None else one
    if isinstance(one, dict):
        return _sum(one, other)
    if isinstance(one, list):
        return _sum_lists(_KEYS[name], one, other)
    if isinstance(one, int):
        return max(one, other) if name in _LATEST else one + other
    return one


def _sum_lists(keys: tuple[str, ...], one: list[Row], other: list[Row]) -> list[Row]:
    found: dict[tuple[Any, ...], Row] = {}
    for row in (*one, *other):
        key = tuple(row.get(name) for name in keys)
        found[key] = _sum(found[key], row) if key in found else row
    return list(found.values())
