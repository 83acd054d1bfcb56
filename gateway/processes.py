"""Child processes of the gateway: started, told, restarted when they die, and stopped with their parent.

The parent holds a child's standard input open as its lifeline: the first line says how the child is configured and
which sockets it inherits, later lines are what it is to know, and its end means that the parent is gone, however it
went. The child's first line on standard output says that it serves, or why it cannot; later lines are what it reports.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from gateway.backoff import Backoff
from gateway.beside import Beside
from gateway.config import Config
from gateway.core.errors import SetupError

_log = logging.getLogger("gateway.processes")

_START_SECONDS = 30.0
_LINE_LIMIT = 16 * 2**20
_REPORT_BYTES = 2**20  # that a child may have told and the parent not yet read
_LONGEST_PAUSE = 2.0  # seconds; whoever is queued on the sockets of a worker waits that long for its replacement


class Child:
    """One child process, kept alive until it is stopped.

    Args:
        role: the hidden command that the child runs, such as `data`.
        config: what it is configured with; called before every start, so that a restart gets what holds by then.
        on_death: told the exit status and the seconds until the next start.
        on_restart: told when it serves again.
        name: what it is called; default: its role.
        sockets: the file descriptors that it inherits, by protocol; the parent keeps them open.
        on_report: told what it reports once it serves.
        beside: what else it is to know; called before every start. Default: what holds when nothing was decided.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - by name, and each a thing of its own
        self,
        role: str,
        config: Callable[[], Config],
        on_death: Callable[[int, float], None],
        on_restart: Callable[[], None] = lambda: None,
        name: str = "",
        sockets: Mapping[str, int] | None = None,
        on_report: Callable[[dict[str, Any]], None] = lambda _: None,
        beside: Callable[[], Beside] | None = None,
    ) -> None:
        self.role = role
        self.name = name or role
        self.pid: int | None = None  # while there is one
        self._config = config
        self._sockets = dict(sockets or {})
        self._on_death, self._on_restart, self._on_report = on_death, on_restart, on_report
        self._beside = beside or (lambda: Beside.first(config()))
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._listener: asyncio.Task[None] | None = None
        self._last_told: bytes | None = None

    async def start(self) -> dict[str, Any]:
        """Start it and wait until it serves.

        Returns:
            what it said: its addresses by protocol.

        Raises:
            SetupError: it cannot start.
        """
        said = await self._spawn()
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.name}")
        return said

    def tell(self, message: dict[str, Any]) -> None:
        """Send one message; a restarted child gets the last one again."""
        self._last_told = json.dumps(message).encode() + b"\n"
        self._write(self._last_told)

    def mention(self, message: dict[str, Any]) -> None:
        """Send one message that a restarted child need not get: it starts with what holds by then."""
        self._write(json.dumps(message).encode() + b"\n")

    async def stop(self, seconds: float) -> None:
        """End it: SIGTERM, `seconds` to finish, then SIGKILL."""
        await _end(self._keeper)
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(seconds):
                    await process.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        await _end(self._listener)

    async def _spawn(self) -> dict[str, Any]:
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gateway.cli",
            self.role,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in a terminal reaches the parent alone
            limit=_LINE_LIMIT,
            pass_fds=tuple(self._sockets.values()),
        )
        self.pid = process.pid
        first = {
            "config": self._config().model_dump(mode="json"),
            "sockets": self._sockets,
            "beside": self._beside().as_dict(),
        }
        self._write(json.dumps(first).encode() + b"\n")
        assert process.stdout is not None  # noqa: S101 - it was asked for above
        try:
            async with asyncio.timeout(_START_SECONDS):
                line = await process.stdout.readline()
        except TimeoutError:
            line = b""
        said: dict[str, Any] = json.loads(line) if line else {"error": f"the {self.name} process did not start"}
        if "error" in said:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise SetupError(said["error"])
        await _end(self._listener)
        self._listener = asyncio.create_task(self._listen(process.stdout), name=f"listen to {self.name}")
        if self._last_told is not None:
            self._write(self._last_told)
        return said

    async def _listen(self, stdout: asyncio.StreamReader) -> None:
        while line := await stdout.readline():
            with contextlib.suppress(ValueError):  # a line that was cut off, as `Parent.report` may
                self._on_report(json.loads(line))

    async def _keep(self) -> None:
        """Start it again whenever it dies, soon at first and then less and less often."""
        loop, backoff = asyncio.get_running_loop(), Backoff(first=0.5, cap=_LONGEST_PAUSE, soonest=0.1)
        while True:
            assert self._process is not None  # noqa: S101 - start() has set it
            status = await self._process.wait()
            self.pid = None
            delay = backoff.delay(loop.time())
            self._on_death(status, delay)
            await asyncio.sleep(delay)
            try:
                await self._spawn()
            except (SetupError, OSError) as error:
                _log.warning("%s: %s", self.name, error)
            else:
                self._on_restart()

    def _write(self, line: bytes) -> None:
        if self._process is None or self._process.stdin is None:
            return
        with contextlib.suppress(ConnectionError, RuntimeError):  # it just died: its keeper starts it again
            self._process.stdin.write(line)


class Parent:
    """The other end of the lifeline, as the child sees it.

    Attributes:
        config: what the parent configured this child with.
        sockets: the file descriptors that this child inherited, by protocol.
        beside: what else it is to know.
        stop: set on SIGTERM and when the parent is gone.
    """

    def __init__(self, first: dict[str, Any], reader: asyncio.StreamReader) -> None:
        self.config = Config.model_validate(first["config"])
        self.sockets: dict[str, int] = first["sockets"]
        self.beside = Beside.of(first["beside"])
        self.stop = asyncio.Event()
        self._reader = reader
        self._rest = b""  # of what was told in part

    @classmethod
    async def connect(cls) -> Parent:
        """Read the first line from standard input."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_LINE_LIMIT)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        first = json.loads(await reader.readline())
        parent = cls(first, reader)
        loop.add_signal_handler(signal.SIGTERM, parent.stop.set)
        return parent

    def say(self, message: dict[str, Any]) -> None:
        """The one line that the parent waits for."""
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()
        os.set_blocking(sys.stdout.fileno(), False)  # what is reported later must not wait for the parent
        with contextlib.suppress(OSError):  # or a report of a thousand routes would never fit
            fcntl.fcntl(sys.stdout.fileno(), fcntl.F_SETPIPE_SZ, _REPORT_BYTES)

    def report(self, message: dict[str, Any]) -> bool:
        """Tell the parent something, as much as it reads now; requests go first, and the rest goes the next time.

        Returns:
            whether all of it was told; what was not is to be told again, as it is by then.
        """
        if self._rest and not self._tell_rest():
            return False
        self._rest = json.dumps(message).encode() + b"\n"
        return self._tell_rest()

    def _tell_rest(self) -> bool:
        try:
            written = os.write(sys.stdout.fileno(), self._rest)
        except OSError:
            return False
        self._rest = self._rest[written:]
        return not self._rest

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """What the parent tells, until it is gone; then `stop` is set."""
        while line := await self._reader.readline():
            yield json.loads(line)
        self.stop.set()


async def _end(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
