"""A site: one Triton, embedded or external, that serves models of the repository; what everything else knows of it.

`gateway.triton.supervise.EmbeddedTriton` and `gateway.triton.external.ExternalTriton` are the real ones, `FakeSite` a
double with the same behaviour, and all pass the same contract tests.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from gateway.repository.model_control import ControlError


class ModelState(StrEnum):
    """One model at one site."""

    WAITING = "waiting"  # for its turn, or for a Triton that does not answer
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"  # and tried again later; versions that were ready before still are
    HEALING = "healing"  # brought back, because one of its backend processes died
    UNLOADED = "unloaded"  # somebody asked Triton for it, and nobody has loaded it again yet


@dataclass(frozen=True, slots=True)
class SiteModel:
    """One model at one site.

    Attributes:
        state: what it is doing.
        reason: why it is in that state, where that is not as it should be.
        seconds: how long its last load took; None before it, and if somebody else had it loaded.
        fingerprint: what it was loaded with; None if it is not loaded.
        versions: those that answer requests, ascending.
        tries: how often in a row it could not be loaded.
        next_try: when it is tried again, in seconds since 1970; None where nothing is due.
    """

    state: ModelState
    reason: str = ""
    seconds: float | None = None
    fingerprint: str | None = None
    versions: tuple[int, ...] = ()
    tries: int = 0
    next_try: float | None = None


class Site(Protocol):
    """One Triton that serves models of the repository."""

    @property
    def name(self) -> str:
        """`embedded`, or the label of the upstream."""

    async def serve(self, models: Mapping[str, str]) -> None:
        """Serve exactly these models of the repository from now on; returns when each change was tried once.

        A model that could not be loaded is tried again, later and later, and holds up no other. One whose fingerprint
        differs from the one that it was loaded with is loaded again: Triton loads the new version beside the old, and
        keeps the old where that fails. The same fingerprint leaves a model as it is.

        Args:
            models: for each name a fingerprint, which changes when the model's folder does.
        """

    async def rehearse(self, model: str, folder: Path, sample: Sequence[Mapping[str, Any]]) -> None:
        """Find out whether this Triton can serve a model folder, beside everything that it serves.

        It is loaded under a name of its own, asked once, and unloaded.

        Args:
            model: the name that it will have.
            folder: a complete Triton model folder; what its `config.pbtxt` gives as `name` does not matter.
            sample: the protocol's JSON `inputs` of one inference; empty to ask nothing.

        Raises:
            ControlError: it cannot; the message is Triton's reason, made readable.
        """

    def states(self) -> Mapping[str, SiteModel]:
        """Every model that is to be served, by name."""

    async def wait_settled(self) -> None:
        """Wait until each model was tried once; it is ready then, or its state says why not."""


class FakeSite:
    """A site in memory, where no time passes.

    Attributes:
        failures: why models cannot be loaded or rehearsed, by name; change it as you like.
        calls: what was done, in order, as `("load", "magika")`.
    """

    def __init__(self, name: str = "fake", repository: Path | None = None) -> None:
        """Prepare.

        Args:
            name: the site's name.
            repository: where the versions of a model are looked up; without it, each model has version 1.
        """
        self.failures: dict[str, str] = {}
        self.calls: list[tuple[str, str]] = []
        self._name, self._repository = name, repository
        self._desired: dict[str, str] = {}
        self._states: dict[str, SiteModel] = {}

    @property
    def name(self) -> str:
        """See `Site`."""
        return self._name

    async def serve(self, models: Mapping[str, str]) -> None:
        """See `Site`."""
        for model in sorted(self._desired.keys() - models.keys()):
            self.calls.append(("unload", model))
            del self._states[model]
        changed = [model for model, fingerprint in models.items() if self._desired.get(model) != fingerprint]
        self._desired = dict(models)
        for model in changed:
            self._load(model)

    async def rehearse(self, model: str, folder: Path, sample: Sequence[Mapping[str, Any]]) -> None:  # noqa: ARG002 - Site's
        """See `Site`."""
        self.calls.append(("rehearse", model))
        if model in self.failures:
            raise ControlError(self.failures[model])

    def states(self) -> Mapping[str, SiteModel]:
        """See `Site`."""
        return dict(sorted(self._states.items()))

    async def wait_settled(self) -> None:
        """See `Site`."""

    def retry(self) -> None:
        """Try what has failed again, as a real site does by itself after a while."""
        for model, state in list(self._states.items()):
            if state.state is ModelState.FAILED:
                self._load(model)

    def _load(self, model: str) -> None:
        self.calls.append(("load", model))
        before = self._states.get(model, SiteModel(ModelState.WAITING))
        if reason := self.failures.get(model):
            self._states[model] = replace(
                before, state=ModelState.FAILED, reason=reason, tries=before.tries + 1, next_try=time.time() + 1
            )
        else:
            self._states[model] = SiteModel(
                ModelState.READY, seconds=0.0, fingerprint=self._desired[model], versions=(self._latest(model),)
            )

    def _latest(self, model: str) -> int:
        folders = (self._repository / model).iterdir() if self._repository else ()
        return max((int(path.name) for path in folders if path.name.isdecimal()), default=1)
