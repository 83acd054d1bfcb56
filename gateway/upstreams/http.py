"""Triton over HTTP/1.1: a bounded pool of kept-alive connections."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace

from gateway.config import LimitsSection
from gateway.core.call import Call, Reply
from gateway.core.errors import DeadlineExceeded, UpstreamUnavailable
from gateway.upstreams.http_connection import HttpConnection
from gateway.wire import oip_http


class HttpUpstream:
    """One Triton.

    Args:
        address: "host:port" of its HTTP service.
        limits: how many connections there may be, and how long one may take to open.
    """

    def __init__(self, address: str, limits: LimitsSection) -> None:
        self._address = address
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._connect_timeout = limits.connect_timeout_seconds
        self._slots = asyncio.Semaphore(limits.max_connections)
        self._idle: deque[HttpConnection] = deque()
        self._open: set[HttpConnection] = set()
        self._closed = False

    async def infer(self, call: Call) -> Reply:
        """Send `call` and wait for the answer, as `Upstream.infer` says."""
        head = self._head(call)
        try:
            async with asyncio.timeout(call.deadline.remaining()):
                async with self._slots:
                    reply = await self._exchange(head, call.body)
        except TimeoutError:
            raise DeadlineExceeded("the request's time was up before Triton answered") from None
        return replace(reply, metadata=oip_http.reply_metadata(reply.metadata))

    async def aclose(self) -> None:
        """Drop every connection."""
        self._closed = True
        self._idle.clear()
        for connection in tuple(self._open):
            connection.close()

    async def _exchange(self, head: bytes, body: bytes) -> Reply:
        connection = self._take_idle() or await self._connect()
        reply = await connection.exchange(head, body)
        if connection.reusable and not self._closed:
            self._idle.append(connection)  # last in, first out: what is not needed grows old and is closed by Triton
        else:
            connection.close()
        return reply

    def _take_idle(self) -> HttpConnection | None:
        """The connection that was used last, of those that are still fit for use."""
        if self._closed:
            raise UpstreamUnavailable("the gateway is stopping")
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
        return None

    async def _connect(self) -> HttpConnection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, connection = await loop.create_connection(lambda: HttpConnection(self._lost), self._host, self._port)
        except (OSError, TimeoutError):
            raise UpstreamUnavailable("Triton cannot be reached right now; try again shortly") from None
        self._open.add(connection)
        return connection

    def _lost(self, connection: HttpConnection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def _head(self, call: Call) -> bytes:
        lines = [oip_http.request_line(call), b"host: " + self._address.encode()]
        lines += [name + b": " + value for name, value in oip_http.request_metadata(call.metadata)]
        lines += [b"content-length: %d" % len(call.body), b"", b""]
        return b"\r\n".join(lines)
