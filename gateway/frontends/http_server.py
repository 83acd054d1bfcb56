"""HTTP/1.1 on one listening socket, without a framework in between."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time

from gateway.frontends.asgi import Asgi
from gateway.frontends.http import HttpFrontend
from gateway.frontends.http_connection import ClientConnection
from gateway.frontends.http_shared import Shared
from gateway.frontends.intake import Intake
from gateway.frontends.serving import Current

LAST_REQUESTS_SECONDS = 0.5
"""For clients that are sending a request while they are told that their connection ends, when a listener stops."""

_BACKLOG = 2048
_FLUSH_SECONDS = 1.0  # for replies that are written to reach their clients, at the end


class HttpListener:
    """Serves HTTP on a socket, from `start` to `stop`.

    Args:
        frontend: answers requests of the protocol.
        pages: answers all others.
        sock: bound and listening.
        current: where the limits are.
        intake: counts what is under way; its owner closes it before `stop`.
    """

    def __init__(
        self, frontend: HttpFrontend, pages: Asgi, sock: socket.socket, current: Current, intake: Intake
    ) -> None:
        del intake  # the front end's business
        host, port = sock.getsockname()[:2]
        self._shared = Shared(frontend, pages, current, (host, port))
        self._socket = sock
        self._server: asyncio.Server | None = None

    @property
    def draining(self) -> bool:
        """Whether it stops."""
        return self._shared.draining

    async def start(self) -> None:
        """Serve; connections that came since the socket was bound are waiting in its backlog."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: ClientConnection(self._shared), sock=self._socket, backlog=_BACKLOG
        )

    async def stop(self, seconds: float) -> None:
        """Accept nothing new, let requests under way finish, and close.

        Connections that stay open meanwhile are told to close with their next reply; those that ask nothing more for a
        moment are closed in the end.

        Args:
            seconds: how long requests may take; what is under way after that is given up.
        """
        if self._server is None:
            return
        shared, until = self._shared, time.monotonic() + seconds
        await asyncio.sleep(0)  # connections that the kernel has accepted already are served
        self._server.close()
        shared.drain()
        await _within(shared.empty, min(until, time.monotonic() + LAST_REQUESTS_SECONDS))
        if shared.busy:
            shared.quiet.clear()
        await _within(shared.quiet, until)
        for connection in tuple(shared.connections):
            if shared.busy:
                connection.abort()
            else:
                connection.close()
        await _within(shared.empty, time.monotonic() + _FLUSH_SECONDS)
        for connection in tuple(shared.connections):
            connection.abort()
        await shared.empty.wait()
        await asyncio.gather(*shared.orphans, return_exceptions=True)
        await self._server.wait_closed()
        shared.alarm.close()


async def _within(event: asyncio.Event, until: float) -> None:
    """Wait for `event`, but not for ever."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), max(0.0, until - time.monotonic()))
