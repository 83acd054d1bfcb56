"""The supervisor's notes: the state of the server and of every model, told on as events when it changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from gateway.repository.site import ModelState, SiteModel
from gateway.triton.status import Event, EventKind, State, TritonStatus

_KINDS = {
    ModelState.LOADING: EventKind.MODEL_LOADING,
    ModelState.READY: EventKind.MODEL_READY,
    ModelState.FAILED: EventKind.MODEL_FAILED,
    ModelState.HEALING: EventKind.MODEL_HEALING,
    ModelState.UNLOADED: EventKind.MODEL_UNLOADED,
}


class Board:
    """Keeps the status. Each method is one change, and emits the event that belongs to it."""

    def __init__(self, log_file: str, on_event: Callable[[Event], None]) -> None:
        self._log_file, self._on_event = log_file, on_event
        self._state = State.STARTING
        self._pid: int | None = None
        self._restarts = self._heals = 0
        self._models: dict[str, SiteModel] = {}
        self._told: dict[str, tuple[EventKind, str]] = {}  # the last event of each model that is no try
        self.settled = asyncio.Event()  # nothing is starting or loading: ready, failed or stopped
        self.failure = ""  # why the server never came up
        self.was_live = False  # it answered once

    def status(self) -> TritonStatus:
        """A picture of now."""
        return TritonStatus(
            self._state, self._pid, self._restarts, self._heals, self._log_file, dict(sorted(self._models.items()))
        )

    def states(self) -> Mapping[str, SiteModel]:
        """Every model, as it is at any time that this is looked at."""
        return MappingProxyType(self._models)

    def launched(self, pid: int) -> None:
        """A tritonserver was started."""
        self._pid = pid
        self._emit(EventKind.LAUNCHED, message=f"pid {pid}")

    def live(self, seconds: float) -> None:
        """It answers."""
        self.was_live = True
        self._emit(EventKind.LIVE, seconds=seconds)

    def ready(self) -> None:
        """Every model is loaded, or known to have failed."""
        self._state = State.READY
        self.settled.set()
        self._emit(EventKind.READY)

    def busy(self) -> None:
        """Models are about to be loaded."""
        self.settled.clear()

    def model(self, name: str, state: SiteModel | None) -> None:
        """A model is in another state; None when it is not wanted any more. Each failure is told once."""
        before = self._models.pop(name, None)
        if state is None:
            self._told.pop(name, None)
            return
        self._models[name] = state
        kind = _KINDS.get(state.state)
        if kind is EventKind.MODEL_READY and before is not None and before.state is ModelState.HEALING:
            self._heals += 1
            kind = EventKind.MODEL_HEALED
        if kind is None or (before is not None and before.state is state.state is ModelState.READY):
            return
        told = (kind, state.reason)
        if kind is EventKind.MODEL_FAILED and self._told.get(name) == told:
            return
        if kind is not EventKind.MODEL_LOADING:
            self._told[name] = told
        self._emit(kind, name, state.reason, state.seconds)

    def refused(self, name: str, reason: str) -> None:
        """A model may not be shown to Triton; what it serves of it already, it serves on."""
        before = self._models.get(name, SiteModel(ModelState.WAITING))
        self.model(name, SiteModel(ModelState.FAILED, reason, fingerprint=before.fingerprint, versions=before.versions))

    def died(self, message: str, waiting: Iterable[str]) -> None:
        """The tritonserver ended by itself; the models `waiting` will be loaded again."""
        self._pid = None
        self.settled.clear()
        self._state = State.RESTARTING
        for model in waiting:
            self.model(model, SiteModel(ModelState.WAITING, "Triton is being restarted"))
        self._emit(EventKind.DIED, message=message)

    def restarting(self, seconds: float) -> None:
        """It is started again in `seconds`."""
        self._restarts += 1
        self._emit(EventKind.RESTARTING, seconds=seconds)

    def failed(self, reason: str) -> None:
        """The server never came up."""
        self._state, self._pid, self.failure = State.FAILED, None, reason
        self.settled.set()

    def stopped(self) -> None:
        """It was stopped on purpose."""
        if self._state is not State.FAILED:
            self._state = State.STOPPED
        self._pid = None
        self.settled.set()
        self._emit(EventKind.STOPPED)

    def _emit(self, kind: EventKind, model: str | None = None, message: str = "", seconds: float | None = None) -> None:
        self._on_event(Event(kind, model, message, seconds))
