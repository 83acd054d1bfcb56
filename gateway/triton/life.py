"""One life of tritonserver, from its first answer to its end: loads the models and heals those that lose a process.

Others may load and unload models too, through the gateway or directly. What they do is shown, and never undone.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from gateway.repository.model_control import ControlError, ModelControl
from gateway.repository.model_index import is_changing, ready_versions
from gateway.repository.reconcile import Reconciler
from gateway.repository.site import ModelState, SiteModel
from gateway.triton.board import Board
from gateway.triton.log import LogReader, cause_of_failure
from gateway.triton.stubs import Stub, StubWatch, remove_region
from gateway.triton.watched import WatchedControl

_SCAN_SECONDS = 0.5
_POLL_SECONDS = 0.05
_SCANS = 3  # looks before a process counts as missing: /proc may leave out one while another ends


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
        latest: Callable[[str], int | None] = lambda _: None,
        cover_gone: Callable[[], bool] = lambda: False,
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
            latest: the version of a model that is served once it is loaded; None where nobody knows.
            cover_gone: see `WatchedControl`.
        """
        self._control = control
        self._watch = StubWatch(pid, models, self._on_stub_end)
        self._board, self._log, self._readable = board, log, readable
        self._log_start = log.position()
        self._reconciler = Reconciler(
            WatchedControl(control, self._watch, log, cover_gone),
            load_timeout,
            self._note,
            on_settled=board.ready,
            latest=latest,
            explain=self._explain,
            alive=self._has_processes,
            silent_looks=None,
        )
        self._ended: dict[str, list[Stub]] = defaultdict(list)  # while their model was in hand
        self._tasks: asyncio.TaskGroup | None = None

    def desire(self, models: Mapping[str, str]) -> None:
        """Say which models are to be served from now on, each with its fingerprint."""
        self._reconciler.desire(models)

    def memory(self) -> dict[str, int]:
        """The memory of each model's backend processes, in bytes."""
        return self._watch.memory()

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
                await self._reconciler.run()
        finally:
            self._tasks = None
            self._watch.close()

    async def rehearse(self, candidate: str, sample: Sequence[Mapping[str, Any]]) -> None:
        """Load a model that is not desired, ask it once, and unload it again.

        Raises:
            ControlError: something of it failed, or Triton ended meanwhile.
        """
        if self._tasks is None:
            raise ControlError("Triton is being started; try again")
        trial = self._tasks.create_task(self._try_out(candidate, sample))
        try:
            await asyncio.wait({trial})
        except asyncio.CancelledError:
            trial.cancel()
            raise
        if trial.cancelled():
            raise ControlError(f"Triton ended while it was tried out; the end of its log:\n{self._log.tail()}")
        if error := trial.result():
            raise ControlError(error)

    async def _try_out(self, candidate: str, sample: Sequence[Mapping[str, Any]]) -> str:
        """Why it failed; empty if it did not. An exception would end all the others in the group."""
        try:
            await self._reconciler.rehearse(candidate, sample)
        except ControlError as error:
            return self._readable(str(error)) or "it failed without a reason"
        return ""

    async def _scan_forever(self) -> None:
        while True:
            self._watch.scan()
            await asyncio.sleep(_SCAN_SECONDS)

    def _note(self, model: str, state: SiteModel | None) -> None:
        if state is not None and state.reason:
            state = replace(state, reason=self._readable(state.reason))
        self._board.model(model, state)
        if state is None or state.state in (ModelState.READY, ModelState.FAILED):
            for stub in self._ended.pop(model, ()):
                self._on_stub_end(stub)

    def _explain(self, model: str) -> str | None:
        return cause_of_failure(self._log.since(self._log_start), model)

    def _has_processes(self, model: str) -> bool:
        for _ in range(_SCANS):
            self._watch.scan()
        return bool(self._watch.of(model))

    def _on_stub_end(self, stub: Stub) -> None:
        """A backend process ended; find out whether it was meant to, when nothing is done with its model."""
        if not self._reconciler.is_desired(stub.model) or not self._watch.server_is_alive():
            return
        if self._reconciler.is_busy(stub.model):
            self._ended[stub.model].append(stub)
        elif self._tasks and not self._is_replaced(stub):
            self._tasks.create_task(self._see_to(stub))

    def _is_replaced(self, stub: Stub) -> bool:
        """Whether a load that someone else asked for has put another process in its place."""
        self._watch.scan()
        twins = (other for other in self._watch.of(stub.model) if other.version == stub.version)
        return any(other.instance == stub.instance for other in twins)

    async def _see_to(self, stub: Stub) -> None:
        """Heal the model of a backend process that ended, unless somebody meant it to end."""
        if not await self._is_missed(stub) or not self._reconciler.is_desired(stub.model):
            return
        if self._reconciler.is_busy(stub.model):
            self._ended[stub.model].append(stub)
        else:
            reason = f"its backend process {stub.pid} died"
            self._reconciler.heal(stub.model, reason, partial(remove_region, stub))

    async def _is_missed(self, stub: Stub) -> bool:
        """Whether Triton still takes a version for ready that has fewer processes than its configuration asks for.

        It has not if the version was unloaded, or loaded anew with other or fewer instances. As long as Triton does not
        say, nothing is known, and so nothing is done.
        """
        while True:
            with contextlib.suppress(ControlError):
                rows = (await self._reconciler.look()).get(stub.model, ())
                rows = [row for row in rows if row.version == stub.version]
                if not is_changing(rows):
                    if not ready_versions(rows):
                        return False
                    instances = await self._control.instances(stub.model, stub.version)
                    return not await self._has_as_many(stub, instances)
            await asyncio.sleep(_SCAN_SECONDS)

    async def _has_as_many(self, stub: Stub, instances: int) -> bool:
        for _ in range(_SCANS):
            self._watch.scan()
            if sum(other.version == stub.version for other in self._watch.of(stub.model)) >= instances:
                return True
            await asyncio.sleep(_POLL_SECONDS)
        return False
