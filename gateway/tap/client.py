"""The side door's near end: a worker hands exchanges to the tap process, over a Unix stream socket.

Nothing comes back. What was on its way when the tap process ends is lost; everything else waits, within bounds, until
there is one again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from pathlib import Path
from typing import Any

from gateway.backoff import Backoff
from gateway.tap import frames
from gateway.tap.exchange import Exchange

_MOST_WAITING = 512  # exchanges
_FIRST_PAUSE, _MOST_PAUSE, _STABLE = 0.1, 5.0, 10.0  # seconds between tries to connect

_log = logging.getLogger("gateway.tap")


class TapClient:
    """Connects when it is first needed, and again whenever the connection is lost.

    Args:
        path: the socket.
        last_seconds: for what waits when the worker stops.
    """

    def __init__(self, path: Path, last_seconds: float = 5.0) -> None:
        self._path = path
        self._last_seconds = last_seconds
        self._waiting: deque[Exchange] = deque()
        self._bytes = 0  # of what waits, and of what is being written
        self._taken = self._dropped = 0
        self._offered, self._closing = asyncio.Event(), asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._told = False  # whether the log says already that nobody can be reached

    def offer(self, exchange: Exchange) -> bool:
        """Hand over an exchange, as `Tap.offer` says."""
        size = exchange.size
        if self._closing.is_set() or len(self._waiting) >= _MOST_WAITING or self._bytes + size > frames.MOST_BYTES:
            self._dropped += 1
            return False
        self._waiting.append(exchange)
        self._bytes += size
        self._taken += 1
        self._offered.set()
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="tap")
        return True

    def status(self) -> dict[str, Any]:
        """How many exchanges were taken and dropped since the start, and whether there is a connection now.

        What was taken and is lost on the way counts as dropped, too.
        """
        return {"taken": self._taken, "dropped": self._dropped, "connected": self._connected}

    async def aclose(self) -> None:
        """Take nothing more, and hand over what waits, within some seconds; it is dropped where nobody takes it."""
        self._closing.set()
        self._offered.set()
        if self._running is not None:
            await asyncio.wait([self._running], timeout=self._last_seconds)
            self._running.cancel()
            await asyncio.wait([self._running])
        self._dropped += len(self._waiting)
        self._waiting.clear()

    @property
    def _connected(self) -> bool:
        reader, writer = self._reader, self._writer
        return reader is not None and writer is not None and not reader.at_eof() and not writer.is_closing()

    async def _run(self) -> None:
        """Hand over what waits, until there is no more to come."""
        backoff = Backoff(first=_FIRST_PAUSE, cap=_MOST_PAUSE, stable=_STABLE)
        try:
            while await self._more():
                try:
                    await self._hand_over()
                except OSError as error:
                    self._hang_up()
                    if self._closing.is_set():
                        return
                    await self._pause(backoff.delay(time.monotonic()), error)
            if self._writer is not None:
                self._writer.close()
                with contextlib.suppress(OSError):
                    await self._writer.wait_closed()
        finally:
            self._hang_up()

    async def _more(self) -> bool:
        """Wait for something to hand over; false if nothing more will come."""
        while not self._waiting:
            if self._closing.is_set():
                return False
            self._offered.clear()
            await self._offered.wait()
        return True

    async def _hand_over(self) -> None:
        """Hand over the first that waits.

        Raises:
            OSError: there is no connection, or it broke.
        """
        if not self._connected:
            self._hang_up()
            self._reader, self._writer = await asyncio.open_unix_connection(self._path)
            self._told = False
        assert self._writer is not None  # noqa: S101 - for the type checker
        exchange = self._waiting.popleft()
        sent = False
        try:
            self._writer.writelines(frames.pieces(exchange))
            await self._writer.drain()
            sent = True
        except UnicodeEncodeError:
            _log.error("an exchange of route %r is left out: it holds text that is not Unicode", exchange.route)
        finally:
            self._bytes -= exchange.size
            self._dropped += not sent

    async def _pause(self, seconds: float, error: OSError) -> None:
        """Wait before the next try, or until all is to end."""
        if seconds and not self._told:
            self._told = True
            _log.warning("the tap process cannot be reached, exchanges wait or are dropped: %s", error)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()

    def _hang_up(self) -> None:
        """Give up the connection, if there is one."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None
