"""Versions that are loaded beside the served one, because traffic is sent to them by their number."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.repository.config_json import as_json
from gateway.repository.kinds.configured import read_config

_VERSION = re.compile(r"[1-9][0-9]*")


class Pins:
    """Which versions are pinned now; the one who decides that changes it, and those who load models read it."""

    def __init__(self) -> None:
        self._versions: Mapping[str, frozenset[int]] = {}

    def use(self, versions: Mapping[str, frozenset[int]]) -> bool:
        """Pin exactly these versions from now on; says whether that changes anything."""
        if versions == self._versions:
            return False
        self._versions = dict(versions)
        return True

    def of(self, model: str) -> frozenset[int]:
        """The pinned versions of a model, whether they are there or not."""
        return self._versions.get(model, frozenset())

    def mark(self, model: str, fingerprint: str) -> str:
        """A fingerprint that also changes with the pinned versions, so that the model is loaded again then."""
        pinned = sorted(self.of(model))
        return f"{fingerprint}+{','.join(map(str, pinned))}" if pinned else fingerprint


def configuration(folder: Path, pinned: frozenset[int], *, always: bool = False) -> str:
    """The configuration with which Triton loads the pinned versions too, as JSON; empty if the folder's own will do.

    Triton has one configuration for all versions of a model: those that differ in their inputs cannot be served at the
    same time, and have to be models of their own.

    Args:
        folder: the model's.
        pinned: versions; those that are not there are passed over.
        always: give it even if the folder's own would do.

    Raises:
        ModelRefused: the folder's own configuration cannot be read.
        OSError: the folder cannot.
    """
    there = sorted(int(path.name) for path in folder.iterdir() if _VERSION.fullmatch(path.name) and path.is_dir())
    beside = pinned.intersection(there)
    if not beside and not always:
        return ""
    config = read_config(folder)
    chosen = _chosen(config, there)
    if beside <= chosen and not always:
        return ""
    told: dict[str, Any] = as_json(config) if config is not None else {"name": folder.name}
    told["version_policy"] = {"specific": {"versions": sorted(chosen | beside)}}
    return json.dumps(told)


def _chosen(config: object, there: list[int]) -> set[int]:
    """The versions that Triton would load by itself."""
    policy = getattr(config, "version_policy", None)
    kind = policy.WhichOneof("policy_choice") if policy is not None else None
    if kind == "all":
        return set(there)
    if kind == "specific":
        return set(policy.specific.versions)  # type: ignore[union-attr]  # there is one
    count = policy.latest.num_versions if kind == "latest" else 1  # type: ignore[union-attr]
    return set(there[-max(1, count) :])
