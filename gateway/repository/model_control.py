"""The little that reconciling needs of a Triton: to load, unload, ask and look at models.

`gateway.triton.control` is the real one, `FakeControl` a double with the same behaviour, and both pass the same
contract tests.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class ControlError(Exception):
    """Triton refused, did not answer in time, or cannot be reached; the message is Triton's own."""


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One version of a model in the repository index; `version` and `state` are empty if it was never loaded."""

    name: str
    version: str = ""
    state: str = ""
    reason: str = ""


class ModelControl(Protocol):
    """What reconciling needs of a Triton. Every method raises ControlError."""

    async def live(self) -> bool:
        """Whether the server answers. Never raises."""

    async def load(self, model: str, timeout: float, config: str = "") -> None:
        """Load a model and wait for it, at most `timeout` seconds; loaded anew if its files have changed.

        Args:
            model: its name.
            timeout: seconds.
            config: JSON that is taken instead of the configuration in the model's folder; empty for that one.
        """

    async def unload(self, model: str, timeout: float) -> None:
        """Unload a model, the models that it is made of not included; its memory may be freed a little later."""

    async def ready(self, model: str) -> bool:
        """Whether a version of the model answers requests."""

    async def index(self) -> Sequence[IndexRow]:
        """The repository index."""

    async def instances(self, model: str, version: str) -> int:
        """How many instances a loaded version of a model has by its configuration."""

    async def infer(self, model: str, inputs: Sequence[Mapping[str, Any]], timeout: float) -> int:
        """Ask a model once, with the protocol's JSON `inputs`; how many outputs it gave."""


class FakeControl:
    """A Triton in memory.

    Attributes:
        failures: what Triton says about the models that cannot be loaded, by name.
        versions: the highest version of each model on disk, where that is not 1.
        loaded: the models that are loaded now.
        calls: what was asked of it, in order, as `("load", "magika")`.
        most_at_once: the largest number of loads that ran at a time.
    """

    def __init__(self, models: Iterable[str], failures: Mapping[str, str] | None = None) -> None:
        self.models, self.failures = set(models), dict(failures or {})
        self.versions: dict[str, int] = {}
        self.loaded: set[str] = set()
        self.calls: list[tuple[str, str]] = []
        self.most_at_once = 0
        self._served: dict[str, int] = {}
        self._beside: dict[str, tuple[int, ...]] = {}
        self._reasons: dict[str, str] = {}
        self._running = 0

    async def live(self) -> bool:
        """See `ModelControl`."""
        return True

    async def load(self, model: str, timeout: float, config: str = "") -> None:  # noqa: ARG002 - it takes no time
        """See `ModelControl`."""
        self.calls.append(("load", model))
        self._running += 1
        self.most_at_once = max(self.most_at_once, self._running)
        await asyncio.sleep(0)
        self._running -= 1
        if model not in self.models:
            raise ControlError(f"failed to load '{model}', failed to poll from model repository")
        version = self.versions.get(model, 1)
        if model in self.failures:
            self._reasons[model] = self.failures[model]
            raise ControlError(
                f"load failed for model '{model}': version {version} is at UNAVAILABLE state: {self.failures[model]};\n"
            )
        self._reasons.pop(model, None)
        self.loaded.add(model)
        self._served[model] = version
        self._beside[model] = tuple(v for v in _specific(config) if v != version)

    async def unload(self, model: str, timeout: float) -> None:  # noqa: ARG002 - it takes no time
        """See `ModelControl`."""
        self.calls.append(("unload", model))
        if model not in self.models:
            raise ControlError(f"failed to unload '{model}', unknown model")
        if model in self.loaded:
            self.loaded.discard(model)
            self._reasons[model] = "unloaded"

    async def ready(self, model: str) -> bool:
        """See `ModelControl`."""
        return model in self.loaded

    async def index(self) -> Sequence[IndexRow]:
        """See `ModelControl`."""
        return [row for model in sorted(self.models) for row in self._rows(model)]

    def _rows(self, model: str) -> list[IndexRow]:
        rows, served = [], self._served.get(model, 1)
        if model in self.loaded:
            rows += [IndexRow(model, str(each), "READY") for each in (*self._beside.get(model, ()), served)]
        newest = self.versions.get(model, 1)
        if model in self._reasons and not (model in self.loaded and newest == served):
            rows.append(IndexRow(model, str(newest), "UNAVAILABLE", self._reasons[model]))
        return rows or [IndexRow(model)]

    async def instances(self, model: str, version: str) -> int:
        """See `ModelControl`."""
        if model not in self.loaded:
            raise ControlError(f"Request for unknown model: '{model}' version {version} is not found")
        return 1

    async def infer(self, model: str, inputs: Sequence[Mapping[str, Any]], timeout: float) -> int:  # noqa: ARG002 - any will do
        """See `ModelControl`."""
        self.calls.append(("infer", model))
        if model not in self.loaded:
            raise ControlError(f"Request for unknown model: '{model}' is not found")
        if not inputs:
            raise ControlError(f"[request id: <id_unknown>] expected 1 inputs but got 0 inputs for model '{model}'")
        return 1


def _specific(config: str) -> list[int]:
    """The versions that a configuration names."""
    policy = json.loads(config or "{}").get("version_policy", {})
    versions: list[int] = policy.get("specific", {}).get("versions", [])
    return versions
