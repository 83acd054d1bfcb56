"""The gRPC port: an HTTP/2 server of our own, which knows gRPC and nothing of inference."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Protocol

from gateway.config import LimitsSection
from gateway.core.call import Body, ClientStream, Reply
from gateway.frontends.grpc_connection import GrpcConnection
from gateway.frontends.intake import Intake
from gateway.frontends.serving import Current
from gateway.wire.http2.grpc_fields import RequestHead

_BUFFER = 2**18
_BACKLOG = 2048


class Frontend(Protocol):
    """What answers the calls."""

    def streaming(self, path: str) -> bool | None:
        """Whether the method at `path` takes and gives streams; None if there is no such method."""
        ...

    async def unary(self, head: RequestHead, message: Body, peer: str) -> Reply:
        """Answer a call of one message."""
        ...

    async def stream(self, head: RequestHead, client: ClientStream, peer: str) -> Reply:
        """Serve a stream, and say how it ended."""
        ...


class GrpcListener:
    """All connections of one listening socket.

    Args:
        frontend: what answers the calls.
        sock: bound to its port.
        current: the configuration's limits.
        intake: counts the bytes of the requests.

    Attributes:
        buffer: where bytes are received, one connection at a time; each takes what it needs before the next comes.
        connections: those that are open.
        tasks: calls that are being answered.
    """

    def __init__(self, frontend: Frontend, sock: socket.socket, current: Current, intake: Intake) -> None:
        self.frontend = frontend
        self.intake = intake
        self.buffer = memoryview(bytearray(_BUFFER))
        self.connections: set[GrpcConnection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self._sock = sock
        self._current = current
        self._server: asyncio.Server | None = None
        self._clock: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()

    @property
    def limits(self) -> LimitsSection:
        """The limits as they are configured now."""
        return self._current.serving.limits

    @property
    def max_message(self) -> int:
        """Bytes of the largest request message that is taken now."""
        return self._current.serving.grpc.max_message_bytes

    @property
    def accepting(self) -> bool:
        """Whether it takes new connections."""
        return self._server is not None and self._server.is_serving()

    async def start(self) -> None:
        """Accept connections; those that came since the socket was bound are waiting in its backlog."""
        self.loop = asyncio.get_running_loop()
        self._server = await self.loop.create_server(lambda: GrpcConnection(self), sock=self._sock, backlog=_BACKLOG)
        self._clock = self.loop.call_later(self._round(), self._look)

    async def stop(self, seconds: float) -> None:
        """Accept nothing new, let calls in flight finish, and close.

        Args:
            seconds: after which what is left is cut off.
        """
        if self._server is None:
            self._sock.close()
            return
        self._server.close()
        for connection in list(self.connections):
            connection.drain()
        self._empty.clear()
        if self.connections:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), seconds)
        if self._clock is not None:
            self._clock.cancel()
        self._empty.clear()
        for connection in list(self.connections):
            connection.abort()
        if self.connections:
            await self._empty.wait()
        if self.tasks:
            await asyncio.wait(self.tasks)
        await self._server.wait_closed()
        self._server = None

    def lost(self, connection: GrpcConnection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        if not self.connections:
            self._empty.set()

    def _round(self) -> float:
        """Seconds between two looks at what is idle."""
        return min(1.0, self.limits.idle_seconds / 4, self.limits.head_seconds / 4, self.limits.deadline_seconds / 4)

    def _look(self) -> None:
        """Close what is idle, and give up what does not get on."""
        seconds = self._round()
        for connection in list(self.connections):
            connection.look(seconds)
        self._clock = self.loop.call_later(seconds, self._look)
