"""A port of a fake that is open or shut, and nobody else's meanwhile."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Door:
    """A port on loopback; close it at the end.

    A socket that never listens holds the port while the door is shut: connections are refused then, and the kernel
    gives the port to nobody else, not even as the near end of another connection.

    Attributes:
        port: its number.
    """

    def __init__(self) -> None:
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._held.bind(("127.0.0.1", 0))
        self.port: int = self._held.getsockname()[1]
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        """Its "host:port"."""
        return f"127.0.0.1:{self.port}"

    async def open(self, serve: Serve) -> None:
        """Accept connections, and let `serve` have each."""
        self._server = await asyncio.start_server(serve, "127.0.0.1", self.port, reuse_port=True, backlog=1024)

    def shut(self) -> None:
        """Refuse connections; those that there are stay."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def close(self) -> None:
        """Give the port up."""
        self.shut()
        self._held.close()
