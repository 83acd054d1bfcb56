"""The embedded Triton: launched, supervised, restarted, healed, and stopped without leaving anything behind.

    async with EmbeddedTriton(section, install, repository, backends, models, on_event) as triton:
        await triton.wait_ready()
        ...                                     # triton.http_address answers, also after a restart

One task lives a loop of lives: start tritonserver under its guard (`guard.py`), keep its models loaded (`life.py`)
until it ends, note why, wait (`gateway/backoff.py`), start again.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from gateway.backoff import Backoff
from gateway.config import TritonSection
from gateway.core.errors import SetupError
from gateway.repository.checked import CheckedControl
from gateway.repository.model_control import ControlError
from gateway.repository.pins import Pins
from gateway.repository.site import SiteModel
from gateway.repository.versions import latest
from gateway.triton import launch, ports, preflight
from gateway.triton.board import Board
from gateway.triton.control import TritonControl
from gateway.triton.fetch import TritonInstall
from gateway.triton.life import Life
from gateway.triton.log import LogReader, default_log_file, prepare
from gateway.triton.process import TritonProcess
from gateway.triton.runtime import RuntimeFolder, base_folder
from gateway.triton.showcase import Showcase
from gateway.triton.status import Event, TritonStatus

Models = Mapping[str, str] | Iterable[str]
"""Names of models, with a fingerprint each; without, a model that has been loaded stays as it is."""

_PORT_PATIENCE_SECONDS = 2.0  # the Triton of a supervisor that was just killed lets go of its ports within this


class EmbeddedTriton:
    """A supervised `tritonserver`, which is a site; an asynchronous context manager."""

    name = "embedded"

    def __init__(  # noqa: PLR0913, PLR0917 - each is a thing of its own
        self,
        section: TritonSection,
        install: TritonInstall,
        repository: Path,
        backends: Path,
        models: Models,
        on_event: Callable[[Event], None],
        pins: Pins | None = None,
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            section: Triton's part of the configuration.
            install: where Triton was unpacked.
            repository: the model repository, one folder a model.
            backends: the folder of our Python-based backends.
            models: the models to serve; see `serve`.
            on_event: told about every change, in the event loop's thread; must return at once.
            pins: the versions that are loaded beside the served ones.
        """
        self._pins = pins
        self._section, self._install = section, install
        self._repository, self._source = repository.absolute(), backends
        self._desired, self._on_event = _fingerprints(models), on_event
        self._changing = asyncio.Lock()
        self._life: Life | None = None
        self._late = ""

    async def __aenter__(self) -> Self:
        """Check everything that can be checked beforehand, and start.

        Raises:
            SetupError: it cannot run here; one line that says what to do.
        """
        self._ports = await asyncio.to_thread(ports.choose, self._section, _PORT_PATIENCE_SECONDS)
        self._log = LogReader(
            (self._section.log_file or default_log_file(os.environ, self._ports.http)).expanduser().absolute()
        )
        self._board = Board(str(self._log.path), self._on_event)
        self._runtime = await asyncio.to_thread(self._prepare)
        self._showcase = Showcase(self._repository, self._runtime, self._board.refused)
        try:
            self._process = await self._launch()
        except BaseException:
            self._runtime.remove()
            raise
        self._task = asyncio.create_task(self._supervise(), name="embedded triton")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop Triton, and leave nothing of it: no process, no port, no shared memory, no folder."""
        caller = asyncio.current_task()
        cancelled_before = caller.cancelling() if caller else 0
        self._task.cancel()
        try:
            await self._task
        except asyncio.CancelledError:
            # Cancelling this exit as well kills Triton at once, and is passed on.
            if caller and caller.cancelling() > cancelled_before:
                raise
        finally:
            self._runtime.remove()
            self._board.stopped()

    @property
    def http_address(self) -> str:
        """`HOST:PORT` of Triton's HTTP service; the same after a restart."""
        return ports.address(self._section.host, self._ports.http)

    @property
    def grpc_address(self) -> str:
        """`HOST:PORT` of Triton's gRPC service; the same after a restart."""
        return ports.address(self._section.host, self._ports.grpc)

    @property
    def metrics_address(self) -> str:
        """`HOST:PORT` of Triton's metrics; the same after a restart."""
        return ports.address(self._section.host, self._ports.metrics)

    def status(self) -> TritonStatus:
        """A picture of now."""
        return self._board.status()

    async def wait_ready(self) -> None:
        """Wait until Triton answers and every model is loaded or known to have failed.

        It ends by itself: the start and every load have their own time limits.

        Raises:
            SetupError: Triton could not be started; with the end of its log.
        """
        await self._board.settled.wait()
        if self._board.failure:
            raise SetupError(self._board.failure)

    def states(self) -> Mapping[str, SiteModel]:
        """See `Site`."""
        return self._board.states()

    def memory(self) -> dict[str, int]:
        """The memory of each model's backend processes, in bytes; a model without any is not named."""
        return self._life.memory() if self._life else {}

    async def wait_settled(self) -> None:
        """See `Site`."""
        await self._board.settled.wait()

    async def serve(self, models: Models) -> None:
        """See `Site`.

        Raises:
            SetupError: Triton could not be started; with the end of its log.
        """
        async with self._changing:
            wanted = _fingerprints(models)
            changed = {model: wanted[model] for model in wanted if self._desired.get(model) != wanted[model]}
            dropped = self._desired.keys() - wanted.keys()
            self._desired = wanted
            await self._showcase.show(changed)
            self._showcase.withdraw(dropped)
            for model in dropped:
                self._board.model(model, None)
            if self._life:
                self._board.busy()
                self._life.desire(self._showcase.models)
        await self.wait_ready()
        for model in dropped - self._desired.keys():
            self._runtime.hide(model)  # only now: what is not in sight is not in the index

    async def rehearse(self, model: str, folder: Path, sample: Sequence[Mapping[str, Any]]) -> None:
        """See `Site`."""
        async with self._showcase.candidate(model, folder) as name:
            if self._life is None:
                raise ControlError("Triton is being restarted; try again")
            await self._life.rehearse(name, sample)

    def _prepare(self) -> RuntimeFolder:
        facts = preflight.check(os.environ, self._install)
        prepare(self._log.path)
        runtime = RuntimeFolder.create(base_folder(os.environ))
        try:
            stub = self._install.stub(facts.python)
            runtime.install_backends(self._source, self._install.python_backend, stub)
            assert facts.libpython  # noqa: S101 - checked by preflight
            (runtime.lib / f"libpython{facts.python}.so.1.0").symlink_to(facts.libpython)
            self._environment = launch.environment(os.environ, self._install, runtime)
            python = runtime.backends / "python"
            preflight.check_libraries(
                [self._install.server, python / stub.name, python / "libtriton_python.so"], self._environment
            )
        except OSError as error:
            runtime.remove()
            raise SetupError(f"Triton's runtime folder {runtime.path} cannot be filled: {error}") from None
        except BaseException:
            runtime.remove()
            raise
        return runtime

    async def _launch(self) -> TritonProcess:
        async with self._changing:
            auto_complete = await self._showcase.open(self._desired)
        command = launch.arguments(
            self._section, self._ports, self._install, self._runtime, auto_complete=auto_complete
        )
        process = await TritonProcess.launch(command, self._environment, self._runtime, self._log.path)
        self._board.launched(process.pid)
        return process

    async def _supervise(self) -> None:
        try:
            await self._live_again_and_again()
        except Exception as error:
            self._board.failed(f"Triton is not supervised any more, because of a fault in the gateway: {error!r}")
            raise

    async def _live_again_and_again(self) -> None:
        backoff = Backoff()
        while True:
            try:
                ending = await self._live()
            finally:
                await _to_the_end(self._process.close())
            cause = f"{self._late}{ending}; the end of its log ({self._log.path}):\n{self._log.tail()}"
            if not self._board.was_live:
                self._board.failed(f"Triton could not be started: {cause}")
                return
            self._board.died(cause, self._showcase.models)
            await self._restart(backoff)

    async def _restart(self, backoff: Backoff) -> None:
        while True:
            delay = backoff.delay(time.monotonic())
            self._board.restarting(delay)
            await asyncio.sleep(delay)
            try:
                self._process = await self._launch()
                return
            except (SetupError, TimeoutError) as error:
                self._board.died(str(error), self._showcase.models)

    async def _live(self) -> str:
        """See one tritonserver through to its end; says how it ended. Stops it when cancelled."""
        try:
            async with TritonControl(self.http_address, self.grpc_address) as control, asyncio.TaskGroup() as group:
                self._life = self._new_life(control)
                life = group.create_task(self._run_life(self._life))
                ending = await self._process.wait()
                life.cancel()
        except asyncio.CancelledError:
            # Its connections are closed by now: Triton's clean stop waits for clients that are still connected.
            await self._process.stop(self._section.stop_timeout_seconds)
            raise
        finally:
            self._life = None
        return ending

    def _new_life(self, control: TritonControl) -> Life:
        life = Life(
            control=CheckedControl(control, self._repository, self._pins),
            pid=self._process.pid,
            models=self._runtime.models,
            log=self._log,
            board=self._board,
            readable=lambda text: text.replace(str(self._runtime.models), str(self._repository)),
            load_timeout=self._section.load_timeout_seconds,
            latest=lambda model: latest(self._repository / model),
            cover_gone=self._runtime.cover_gone,
        )
        life.desire(self._showcase.models)
        return life

    async def _run_life(self, life: Life) -> None:
        limit, self._late = self._section.start_timeout_seconds, ""
        try:
            await life.run(limit)
        except TimeoutError:
            self._late = f"it did not answer within {limit:g} s (triton.start_timeout_seconds), and "
            await self._process.stop(0)  # its end is noted as any other


def _fingerprints(models: Models) -> dict[str, str]:
    return dict(models) if isinstance(models, Mapping) else dict.fromkeys(models, "")


async def _to_the_end(closing: Coroutine[Any, Any, None]) -> None:
    """Finish what must not be left half done, and pass a cancellation on only then."""
    task = asyncio.ensure_future(closing)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
