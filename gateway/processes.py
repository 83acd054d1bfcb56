"""Child processes of the gateway: started, told, restarted when they die, and stopped with their parent.

The parent holds a child's standard input open as its lifeline: the first line is the configuration, later lines are
what the child is to know, and its end means that the parent is gone, however it went. The child's first line on
standard output says which addresses it got, or why it cannot start.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

from gateway.backoff import Backoff
from gateway.config import Config
from gateway.core.errors import SetupError

_log = logging.getLogger("gateway.processes")

_START_SECONDS = 30.0
_LINE_LIMIT = 4 * 2**20


class Child:
    """One child process, kept alive until it is stopped.

    Args:
        role: the hidden command that the child runs, such as `data`.
        config: what it is configured with; called before every start, so that a restart gets the ports of the first.
        on_death: told the exit status and the seconds until the next start.
        on_restart: told when it serves again.
    """

    def __init__(
        self,
        role: str,
        config: Callable[[], Config],
        on_death: Callable[[int, float], None],
        on_restart: Callable[[], None] = lambda: None,
    ) -> None:
        self.role = role
        self.pid: int | None = None
        self._config = config
        self._on_death, self._on_restart = on_death, on_restart
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._last_told: bytes | None = None

    async def start(self) -> dict[str, Any]:
        """Start it and wait until it serves.

        Returns:
            what it said: its addresses by protocol.

        Raises:
            SetupError: it cannot start.
        """
        said = await self._spawn()
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.role}")
        return said

    def tell(self, message: dict[str, Any]) -> None:
        """Send one message; a restarted child gets the last one again."""
        self._last_told = json.dumps(message).encode() + b"\n"
        self._write(self._last_told)

    async def stop(self, seconds: float) -> None:
        """End it: SIGTERM, `seconds` to finish, then SIGKILL."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(seconds):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

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
        )
        self.pid = process.pid
        self._write(self._config().model_dump_json().encode() + b"\n")
        assert process.stdout is not None  # noqa: S101 - it was asked for above
        try:
            async with asyncio.timeout(_START_SECONDS):
                line = await process.stdout.readline()
        except TimeoutError:
            line = b""
        said: dict[str, Any] = json.loads(line) if line else {"error": f"the {self.role} process did not start"}
        if "error" in said:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise SetupError(said["error"])
        if self._last_told is not None:
            self._write(self._last_told)
        return said

    async def _keep(self) -> None:
        """Start it again whenever it dies, soon at first and then less and less often."""
        loop, backoff = asyncio.get_running_loop(), Backoff(first=0.5, cap=10.0, soonest=0.1)
        while True:
            assert self._process is not None  # noqa: S101 - start() has set it
            status = await self._process.wait()
            delay = backoff.delay(loop.time())
            self._on_death(status, delay)
            await asyncio.sleep(delay)
            try:
                await self._spawn()
            except SetupError as error:
                _log.warning("%s: %s", self.role, error)
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
        stop: set on SIGTERM and when the parent is gone.
    """

    def __init__(self, config: Config, reader: asyncio.StreamReader) -> None:
        self.config = config
        self.stop = asyncio.Event()
        self._reader = reader

    @classmethod
    async def connect(cls) -> Parent:
        """Read the configuration from standard input."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_LINE_LIMIT)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        parent = cls(Config.model_validate_json(await reader.readline()), reader)
        loop.add_signal_handler(signal.SIGTERM, parent.stop.set)
        return parent

    def say(self, message: dict[str, Any]) -> None:
        """The one line that the parent waits for."""
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """What the parent tells, until it is gone; then `stop` is set."""
        while line := await self._reader.readline():
            yield json.loads(line)
        self.stop.set()
