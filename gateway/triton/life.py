"""One life of tritonserver, from its first answer to its end: loads the models and heals those that lose a process."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.backoff import Backoff
from gateway.repository.reconcile import ControlError, ModelControl, Outcome, Reconciler
from gateway.triton.board import Board
from gateway.triton.log import LogReader, cause_of_failure
from gateway.triton.status import ModelState
from gateway.triton.stubs import Stub, StubWatch, remove_region
from gateway.triton.watched import WatchedControl

_SCAN_SECONDS = 0.5
_POLL_SECONDS = 0.05


class Life:
    """Serves the desired models with one tritonserver, for as long as that lives."""

    def __init__(  # noqa: PLR0913 - by name, and each a thing of its own
        self,
        *,
        control: ModelControl,
        pid: int,
        models: Path,
        log: LogReader,
        board: Board,
        readable: Callable[[str], str],
        load_timeout: float,
    ) -> None:
        """Prepare.

        Args:
            control: the tritonserver's control API.
            pid: its process id.
            models: the folder of models as Triton sees it.
            log: Triton's log.
            board: where to note what happens.
            readable: turns a message of Triton's into one with the user's own paths.
            load_timeout: how long one model may take, in seconds.
        """
        self._control = control
        self._watch = StubWatch(pid, models, self._on_stub_end)
        self._board, self._log, self._readable = board, log, readable
        self._log_start = log.position()
        self._reconciler = Reconciler(WatchedControl(control, self._watch, log), load_timeout, explain=self._explain)
        # Models in hand: their processes end by intention.
        self._reconciling: frozenset[str] = frozenset()
        self._healing: set[str] = set()
        self._backoffs: dict[str, Backoff] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._desired: Sequence[str] = ()
        self._changed = asyncio.Event()

    def desire(self, models: Sequence[str]) -> None:
        """Say which models are to be served from now on."""
        self._desired = tuple(models)
        self._changed.set()

    async def run(self, start_timeout: float) -> None:
        """Wait until Triton answers, and then keep the desired models loaded, until cancelled.

        Raises:
            TimeoutError: it does not answer within `start_timeout` seconds.
        """
        try:
            started = time.monotonic()
            async with asyncio.timeout(start_timeout):
                while not await self._control.live():  # noqa: ASYNC110 - another process tells no event
                    await asyncio.sleep(_POLL_SECONDS)
            self._board.live(time.monotonic() - started)
            async with asyncio.TaskGroup() as self._tasks:
                self._tasks.create_task(self._scan_forever())
                await self._reconcile_forever()
        finally:
            self._watch.close()

    async def _scan_forever(self) -> None:
        while True:
            self._watch.scan()
            await asyncio.sleep(_SCAN_SECONDS)

    async def _reconcile_forever(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            self._reconciling = frozenset(self._desired)
            try:
                await self._reconciler.reconcile(self._desired, on_start=self._board.loading, on_outcome=self._note)
            except ControlError as error:
                states = self._board.status().models
                for model in self._reconciling:
                    if model not in states or states[model].state is not ModelState.READY:
                        self._board.model_failed(model, str(error))
            self._reconciling = frozenset()
            if not self._changed.is_set():
                self._board.ready()

    def _note(self, outcome: Outcome) -> None:
        if outcome.ready:
            self._board.loaded(outcome.model, outcome.seconds)
        else:
            self._board.model_failed(outcome.model, self._readable(outcome.reason), outcome.seconds)

    def _explain(self, model: str) -> str | None:
        return cause_of_failure(self._log.since(self._log_start), model)

    def _on_stub_end(self, stub: Stub) -> None:
        if stub.model in self._reconciling or stub.model in self._healing or stub.model not in self._desired:
            return
        if not self._watch.server_is_alive():
            return
        self._watch.scan()
        twins = (other for other in self._watch.of(stub.model) if other.version == stub.version)
        if any(other.instance == stub.instance for other in twins):
            return  # replaced by a load that someone else asked for
        if self._tasks:
            self._healing.add(stub.model)
            self._tasks.create_task(self._heal(stub))

    async def _heal(self, stub: Stub) -> None:
        """Give a model fresh backend processes, and try again, later and later, until it has them."""
        model, started = stub.model, time.monotonic()
        backoff = self._backoffs.setdefault(model, Backoff())
        reason = f"its backend process {stub.pid} died"
        try:
            while model in self._desired:
                delay = backoff.delay(time.monotonic())
                self._board.healing(model, reason, delay)
                # Unloaded before the wait, so that clients hear "not ready" rather than a failed inference.
                with contextlib.suppress(ControlError):  # the load that follows tells the outcome
                    await self._reconciler.unload(model)
                remove_region(stub)
                await asyncio.sleep(delay)
                outcome = await self._reconciler.load(model)
                if outcome.ready and self._watch.of(model):
                    self._board.healed(model, time.monotonic() - started)
                    return
                reason = self._readable(outcome.reason) or "its backend process died again"
        finally:
            self._healing.discard(model)
