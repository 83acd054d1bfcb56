"""A bounded set of kept-alive connections to one Triton, and a fair queue of those who wait for one.

The connection used last is used next: what is not needed grows old and is closed by Triton. A connection is left out
once it is known to be closing. One that Triton closes while a request is on its way to it breaks that request: nobody
can tell whether it was read.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from functools import lru_cache

from gateway.alarm import Alarm
from gateway.config import LimitsSection
from gateway.core.deadline import Deadline
from gateway.core.errors import DeadlineExceeded, Overloaded, UpstreamUnavailable
from gateway.upstreams import http_head
from gateway.upstreams.http_connection import HttpConnection
from gateway.upstreams.http_turns import Turns

_SCRATCH = 64 * 2**10  # bytes of one read
_GRAIN = 0.005  # seconds that a deadline may be late
_REMEMBERED = 256  # heads of answers; Triton repeats itself
_MEMORABLE = 1024  # bytes of a head
_RECEIVING = 4 * 2**20  # bytes of large answers that are received at a time


class HttpPool:
    """The connections.

    Args:
        host: where Triton is.
        port: of its HTTP service.
        limits: how many there may be, how many may wait, and how long one may take to open.
    """

    def __init__(self, host: str, port: int, limits: LimitsSection) -> None:
        self._host, self._port = host, port
        self._connect_timeout = limits.connect_timeout_seconds
        self._room = limits.max_connections  # for connections that are not open or being opened
        self._max_waiting = limits.max_waiting
        self._idle: list[HttpConnection] = []
        self._open: set[HttpConnection] = set()
        self._waiting: deque[asyncio.Future[HttpConnection | None]] = deque()
        self._scratch = memoryview(bytearray(_SCRATCH))
        self._alarm = Alarm(_GRAIN)
        self._turns = Turns(_RECEIVING)
        self._closed = False
        remembered = lru_cache(_REMEMBERED)(http_head.parse)
        self._parse = lambda raw: remembered(raw) if len(raw) <= _MEMORABLE else http_head.parse(raw)

    async def acquire(self, deadline: Deadline) -> HttpConnection:
        """A connection that is nobody else's until it is given back with `release`; its exchange ends by `deadline`.

        Raises:
            UpstreamUnavailable: Triton cannot be reached.
            Overloaded: too many wait already.
            DeadlineExceeded: the time was up first.
        """
        connection = self._fit() or await self._another(deadline)
        connection.due = deadline.at
        if deadline.at < self._alarm.at:
            self._alarm.expect(deadline.at)
        return connection

    def release(self, connection: HttpConnection) -> None:
        """Give a connection back."""
        if not connection.reusable or self._closed:
            connection.close()
        elif not self._hand_on(connection):
            self._idle.append(connection)

    def close(self) -> None:
        """Drop every connection, and whoever waits for one."""
        self._closed = True
        self._idle.clear()
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(_stopping())
        for connection in tuple(self._open):
            connection.close()
        self._alarm.close()

    def _fit(self) -> HttpConnection | None:
        """The connection used last, of those that are still fit for use; the others are lost any moment."""
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable and not connection.closing:
                return connection
        return None

    async def _another(self, deadline: Deadline) -> HttpConnection:
        if self._closed:
            raise _stopping()
        if self._room:
            self._room -= 1
            return await self._connect(deadline)
        if len(self._waiting) >= self._max_waiting:
            raise Overloaded("too many requests wait for Triton already; try again shortly")
        return await self._wait(deadline) or await self._connect(deadline)

    async def _wait(self, deadline: Deadline) -> HttpConnection | None:
        """Queue for a connection, or for the room for one, which is None."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[HttpConnection | None] = loop.create_future()
        timer = loop.call_later(deadline.remaining(), _expire, waiter)
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                connection = waiter.result()  # it came just when nobody wanted it any more
                if connection is None:
                    self._give_room()
                else:
                    self.release(connection)
            raise
        finally:
            timer.cancel()
            with contextlib.suppress(ValueError):
                self._waiting.remove(waiter)

    async def _connect(self, deadline: Deadline) -> HttpConnection:
        """Open a connection in room that has been taken for it."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(min(self._connect_timeout, deadline.remaining())):
                _, connection = await loop.create_connection(self._new, self._host, self._port)
        except (OSError, TimeoutError):
            self._give_room()
            if deadline.expired:
                raise _too_late() from None
            raise UpstreamUnavailable("Triton cannot be reached right now; try again shortly") from None
        except BaseException:
            self._give_room()
            raise
        if connection.closing:  # as soon as it was open
            self._give_room()
            raise UpstreamUnavailable("Triton cannot be reached right now; try again shortly")
        self._open.add(connection)
        self._alarm.add(connection)
        if self._closed:
            connection.close()
            raise _stopping()
        return connection

    def _new(self) -> HttpConnection:
        return HttpConnection(self._lost, self._scratch, self._parse, self._turns)

    def _lost(self, connection: HttpConnection) -> None:
        if connection not in self._open:
            return  # it never got as far as being one of the pool's
        self._open.discard(connection)
        self._alarm.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._give_room()

    def _give_room(self) -> None:
        """There may be one connection more: whoever waits longest opens it."""
        if self._closed or not self._hand_on(None):
            self._room += 1

    def _hand_on(self, connection: HttpConnection | None) -> bool:
        """Give it to whoever waits longest, if anybody does."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return True
        return False


def _expire(waiter: asyncio.Future[HttpConnection | None]) -> None:
    if not waiter.done():
        waiter.set_exception(_too_late())


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded("the request's time was up before there was a connection to Triton")


def _stopping() -> UpstreamUnavailable:
    return UpstreamUnavailable("the gateway is stopping")
