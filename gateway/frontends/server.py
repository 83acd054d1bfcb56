"""uvicorn as one owned object: bound before it is started, stopped by its owner and not by signals."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import uvicorn

from gateway.sockets import bind


class HttpServer:
    """An HTTP/1.1 server for one ASGI application.

    Args:
        app: the application.
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        key: the configuration key of the port, for the error that names it.
        drain_seconds: how long requests in flight may finish when it stops.

    Raises:
        SetupError: the port is taken, or the address is not this machine's.
    """

    def __init__(self, app: Any, host: str, port: int, key: str, drain_seconds: float) -> None:
        self._socket = bind(host, port, key)
        self.port: int = self._socket.getsockname()[1]
        self._server = _Server(
            uvicorn.Config(
                app,
                http="httptools",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                ws="none",
                timeout_keep_alive=75,
                timeout_graceful_shutdown=max(1, round(drain_seconds)),
            )
        )

    async def __aenter__(self) -> HttpServer:
        """Start to serve; connections that came since the port was bound are waiting in its backlog."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]), name="http server")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Accept nothing new, let requests in flight finish, and close."""
        self._server.should_exit = True
        await self._task
        self._socket.close()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to whoever owns the process."""
        yield
