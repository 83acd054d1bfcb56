"""One life of tritonserver, from its first answer to its end: loads the models and heals those that lose a process.

Others may load and unload models too, through the gateway or directly. What they do is shown, and never undone.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from gateway.backoff import Backoff
from gateway.repository.reconcile import ControlError, IndexRow, ModelControl, Outcome, Reconciler
from gateway.triton.board import Board
from gateway.triton.log import LogReader, cause_of_failure
from gateway.triton.status import ModelState
from gateway.triton.stubs import Stub, StubWatch, remove_region
from gateway.triton.watched import WatchedControl

_SCAN_SECONDS = 0.5
_INDEX_SECONDS = 1.0
_UNLOADING_SECONDS = 10.0  # for Triton to have done with a model whose process has ended already
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
        self._ever_desired: set[str] = set()
        self._unloaded: set[str] = set()  # by others
        self._changed = asyncio.Event()

    def desire(self, models: Sequence[str]) -> None:
        """Say which models are to be served from now on."""
        self._desired = tuple(models)
        self._ever_desired.update(models)
        self._unloaded.intersection_update(models)
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
                self._tasks.create_task(self._look_forever())
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
            wanted = [model for model in self._desired if model not in self._unloaded]
            dropped = self._ever_desired.difference(self._desired)
            self._reconciling = frozenset(wanted)
            try:
                await self._reconciler.reconcile(
                    wanted, dropped=dropped, on_start=self._board.loading, on_outcome=self._note
                )
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
            self._tasks.create_task(self._see_to(stub))

    async def _see_to(self, stub: Stub) -> None:
        """Heal the model of a backend process that ended, unless somebody meant it to end."""
        try:
            if not await self._was_meant(stub):
                await self._heal(stub)
        finally:
            self._healing.discard(stub.model)

    async def _was_meant(self, stub: Stub) -> bool:
        """Whether the model was unloaded, or loaded anew with other or fewer instances."""
        with contextlib.suppress(ControlError, TimeoutError):
            async with asyncio.timeout(_UNLOADING_SECONDS):
                while True:
                    row = _row(await self._control.index(), stub.model, stub.version)
                    if row.state not in ("LOADING", "UNLOADING"):
                        break
                    await asyncio.sleep(_POLL_SECONDS)
                if row.state == "READY":
                    instances = await self._control.instances(stub.model, stub.version)
                    self._watch.scan()
                    alive = [other for other in self._watch.of(stub.model) if other.version == stub.version]
                    return len(alive) >= instances
                return _is_unloaded(row)
        return False

    async def _look_forever(self) -> None:
        """See what others have loaded and unloaded."""
        while True:
            await asyncio.sleep(_INDEX_SECONDS)
            in_hand = self._reconciling | self._healing
            with contextlib.suppress(ControlError):  # whether it lives is seen elsewhere
                rows = await self._control.index()
                for model in set(self._desired) - in_hand - self._reconciling - self._healing:
                    self._compare(model, [row for row in rows if row.name == model])

    def _compare(self, model: str, rows: Sequence[IndexRow]) -> None:
        """Note a model that is in another state than it was left in."""
        known = self._board.status().models.get(model)
        if any(row.state == "READY" for row in rows):
            self._unloaded.discard(model)
            if known is None or known.state is not ModelState.READY:
                self._board.loaded(model)
        elif model not in self._unloaded and _are_unloaded(rows):
            self._unloaded.add(model)
            self._board.unloaded(model)

    async def _heal(self, stub: Stub) -> None:
        """Give a model fresh backend processes, and try again, later and later, until it has them."""
        model, started = stub.model, time.monotonic()
        backoff = self._backoffs.setdefault(model, Backoff())
        reason = f"its backend process {stub.pid} died"
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


def _row(rows: Iterable[IndexRow], model: str, version: str) -> IndexRow:
    """What the index says about a version of a model; empty if it says nothing."""
    return next((row for row in rows if (row.name, row.version) == (model, version)), IndexRow(model))


def _are_unloaded(rows: Sequence[IndexRow]) -> bool:
    """Whether no version is left that is served, comes or goes, and somebody wanted that."""
    return all(row.state == "UNAVAILABLE" for row in rows) and any(map(_is_unloaded, rows))


def _is_unloaded(row: IndexRow) -> bool:
    """Whether somebody had it unloaded; what could not be loaded has another reason."""
    return row.state == "UNAVAILABLE" and row.reason == "unloaded"
