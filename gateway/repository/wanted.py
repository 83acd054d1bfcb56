"""What is wanted of one model at one Triton, how it stands, and what follows from what is seen; without any I/O."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from gateway.backoff import Backoff
from gateway.repository.loader import NOT_READY
from gateway.repository.model_control import IndexRow
from gateway.repository.model_index import is_changing, ready_versions, was_unloaded
from gateway.repository.site import ModelState, SiteModel


def _load_backoff() -> Backoff:
    return Backoff(soonest=1.0, first=2.0, cap=60.0, stable=float("inf"))


@dataclass(frozen=True, slots=True)
class Attempt:
    """A load that has come back.

    Attributes:
        fingerprint: what was loaded.
        expected: the version that should be served now; None where nobody knows.
        reason: why it failed; empty if Triton is content.
        seconds: how long it took.
    """

    fingerprint: str
    expected: int | None
    reason: str
    seconds: float

    def judge(self, rows: Sequence[IndexRow]) -> str:
        """Why it failed, in the light of an index that is newer; empty if it did not."""
        versions = ready_versions(rows)
        if self.reason or not versions:
            return self.reason or NOT_READY
        if self.expected is not None and self.expected not in versions:
            return f"Triton serves version {versions[-1]}, and not version {self.expected}"
        return ""


@dataclass(slots=True)
class Wanted:
    """One model.

    Attributes:
        fingerprint: what it is to be loaded with; None when it is to be unloaded.
        untried: the last change of the fingerprint was not tried yet.
        busy: it is being loaded or unloaded.
        loaded: it was loaded, and not unloaded since.
        held: somebody else has unloaded it.
        clear: it is unloaded before the next load.
        healing: since when it is brought back, in seconds on a monotonic clock.
        due: when the next try may begin, on the same clock.
        state: how it stands.
        loads, heals: when to try again.
    """

    fingerprint: str | None
    untried: bool = True
    busy: bool = False
    loaded: bool = False
    held: bool = False
    clear: bool = False
    healing: float | None = None
    due: float = 0.0
    state: SiteModel = field(default_factory=lambda: SiteModel(ModelState.WAITING))
    loads: Backoff = field(default_factory=_load_backoff)
    heals: Backoff = field(default_factory=Backoff)

    @property
    def is_behind(self) -> bool:
        """Whether there is something to load or unload."""
        return not self.held and (self.fingerprint is None or self.state.fingerprint != self.fingerprint)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is done with it, or about to be done, that explains a change."""
        return not self.busy and self.healing is None and self.fingerprint is not None

    def want(self, fingerprint: str | None) -> None:
        """Note a change, which makes up for all that was before."""
        self.fingerprint, self.untried, self.held, self.due = fingerprint, True, False, 0.0
        self.healing, self.loads = None, _load_backoff()
        self.state = replace(self.state, tries=0, next_try=None)

    def forget(self, reason: str) -> SiteModel:
        """Nothing is known of the Triton any more, so all begins anew."""
        self.due, self.held = 0.0, False
        return SiteModel(ModelState.WAITING, reason)

    def compare(self, rows: Sequence[IndexRow]) -> SiteModel | None:
        """Its new state, where the index shows it in another one than it was left in."""
        versions = ready_versions(rows)
        if versions:
            return self._seen_ready(versions)
        if is_changing(rows):
            return None
        if self.state.fingerprint is not None:
            return self._seen_gone(rows)
        if self.held and not was_unloaded(rows):
            self.held, self.due = False, 0.0  # another Triton is there by now, in which nobody unloaded it
        return None

    def _seen_ready(self, versions: tuple[int, ...]) -> SiteModel | None:
        by_others = self.state.state is ModelState.FAILED and not set(versions) <= set(self.state.versions)
        if self.held or by_others:
            self.held = False
            return SiteModel(ModelState.READY, fingerprint=self.fingerprint, versions=versions)
        if versions != self.state.versions and self.state.fingerprint is not None:
            return replace(self.state, versions=versions)
        return None

    def _seen_gone(self, rows: Sequence[IndexRow]) -> SiteModel:
        self.held = was_unloaded(rows)
        if self.held:
            return SiteModel(ModelState.UNLOADED, "somebody had it unloaded; load it to have it back")
        self.due = 0.0
        return SiteModel(ModelState.WAITING, "Triton has lost it, and loads it again")

    def rest(self) -> SiteModel | None:
        """Nothing is to be done; its new state, where what is wanted now is what was there before a failure."""
        self.untried = False
        if self.state.state is ModelState.FAILED and self.state.fingerprint == self.fingerprint:
            return replace(self.state, state=ModelState.READY, reason="", tries=0, next_try=None)
        return None

    def begin(self) -> SiteModel | None:
        """It is being loaded; its new state, unless that still is that it is brought back, or that it has failed.

        What failed and is tried again has failed until it is ready: nobody wants to see it flicker.
        """
        if self.healing is not None or (self.state.state is ModelState.FAILED and not self.untried):
            return None
        return replace(self.state, state=ModelState.LOADING, reason="", next_try=None)

    def came_back(self, attempt: Attempt, rows: Sequence[IndexRow]) -> None:
        """A load has come back."""
        self.busy, self.clear = False, not ready_versions(rows) and attempt.reason in ("", NOT_READY)
        self.untried &= self.fingerprint != attempt.fingerprint

    def succeeded(self, attempt: Attempt, versions: tuple[int, ...]) -> SiteModel:
        """It is served."""
        seconds = attempt.seconds if self.healing is None else time.monotonic() - self.healing
        self.healing, self.loads, self.loaded = None, _load_backoff(), True
        return SiteModel(ModelState.READY, "", seconds, attempt.fingerprint, versions)

    def failed(self, attempt: Attempt, reason: str, versions: tuple[int, ...]) -> SiteModel:
        """It could not be loaded, and is tried again; what was ready before still is."""
        delay = self.loads.delay(time.monotonic())
        if self.fingerprint == attempt.fingerprint:
            self.due = time.monotonic() + delay
        before = self.state.fingerprint if versions else None
        tries = self.state.tries + 1
        return SiteModel(
            ModelState.FAILED, reason, attempt.seconds, before, versions, tries, next_try=time.time() + delay
        )

    def broke(self, reason: str) -> SiteModel:
        """Its processes died: it is unloaded now, and loaded again after a while, which its state gives in seconds."""
        now = time.monotonic()
        if self.healing is None:
            self.healing = now
        delay = self.heals.delay(now)
        self.busy, self.due = True, now + delay
        return SiteModel(ModelState.HEALING, reason, delay, next_try=time.time() + delay)
