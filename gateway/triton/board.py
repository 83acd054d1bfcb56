"""The supervisor's notes: the state of the server and of every model, told on as events when it changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from gateway.triton.status import Event, EventKind, ModelState, ModelStatus, State, TritonStatus


class Board:
    """Keeps the status. Each method is one change, and emits the event that belongs to it."""

    def __init__(self, log_file: str, on_event: Callable[[Event], None]) -> None:
        self._log_file, self._on_event = log_file, on_event
        self._state = State.STARTING
        self._pid: int | None = None
        self._restarts = self._heals = 0
        self._models: dict[str, ModelStatus] = {}
        self.settled = asyncio.Event()  # nothing is starting or loading: ready, failed or stopped
        self.failure = ""  # why the server never came up
        self.was_live = False  # it answered once

    def status(self) -> TritonStatus:
        """A picture of now."""
        return TritonStatus(
            self._state, self._pid, self._restarts, self._heals, self._log_file, dict(sorted(self._models.items()))
        )

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

    def loading(self, model: str) -> None:
        """A model is being loaded."""
        self._set(model, ModelState.LOADING)
        self._emit(EventKind.MODEL_LOADING, model)

    def loaded(self, model: str, seconds: float | None = None) -> None:
        """A model answers requests; nobody knows after how many seconds if somebody else had it loaded."""
        self._set(model, ModelState.READY, seconds=seconds)
        self._emit(EventKind.MODEL_READY, model, seconds=seconds)

    def model_failed(self, model: str, reason: str, seconds: float | None = None) -> None:
        """A model cannot be served."""
        self._set(model, ModelState.FAILED, reason, seconds)
        self._emit(EventKind.MODEL_FAILED, model, reason, seconds)

    def healing(self, model: str, reason: str, seconds: float) -> None:
        """A model is brought back, the next try being in `seconds`."""
        self._set(model, ModelState.HEALING, reason)
        self._emit(EventKind.MODEL_HEALING, model, reason, seconds)

    def healed(self, model: str, seconds: float) -> None:
        """A model is back."""
        self._heals += 1
        self._set(model, ModelState.READY, seconds=seconds)
        self._emit(EventKind.MODEL_HEALED, model, seconds=seconds)

    def unloaded(self, model: str) -> None:
        """A model was unloaded because somebody asked for it."""
        self._set(model, ModelState.UNLOADED, "somebody had it unloaded; load it to have it back")
        self._emit(EventKind.MODEL_UNLOADED, model)

    def forget(self, model: str) -> None:
        """A model is not wanted any more."""
        self._models.pop(model, None)

    def died(self, message: str, waiting: Iterable[str]) -> None:
        """The tritonserver ended by itself; the models `waiting` will be loaded again."""
        self._pid = None
        self.settled.clear()
        self._state = State.RESTARTING
        for model in waiting:
            self._set(model, ModelState.LOADING, "Triton is being restarted")
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

    def _set(self, model: str, state: ModelState, reason: str = "", seconds: float | None = None) -> None:
        self._models[model] = ModelStatus(state, reason, seconds)

    def _emit(self, kind: EventKind, model: str | None = None, message: str = "", seconds: float | None = None) -> None:
        self._on_event(Event(kind, model, message, seconds))
