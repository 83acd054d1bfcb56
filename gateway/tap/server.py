"""The side door's far end: the tap process takes exchanges from all workers, over a Unix stream socket."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self

import msgspec

from gateway.core.errors import SetupError
from gateway.tap import frames
from gateway.tap.exchange import Exchange

_READ_AHEAD = 2**18  # bytes of a connection that are received before they are asked for

_log = logging.getLogger("gateway.tap")


class TapServer:
    """Accepts workers while it is entered; no more is read of a worker's exchanges while one of them is being taken.

    Args:
        path: the socket. Its folder is made if it is not there; nobody but us may be able to look into it.
        take: gets each exchange; of one worker one after the other.
        last_seconds: for workers to hang up when the tap process stops.
    """

    def __init__(self, path: Path, take: Callable[[Exchange], Awaitable[None]], last_seconds: float = 5.0) -> None:
        self._path = path
        self._take = take
        self._last_seconds = last_seconds
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        """Accept workers.

        Raises:
            SetupError: the socket cannot be had, or others could reach it.
        """
        self._server = await asyncio.start_unix_server(self._accept, sock=_bound(self._path), limit=_READ_AHEAD)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Accept nobody more, and take what workers have sent until they hang up, within some seconds."""
        assert self._server is not None  # noqa: S101 - it is entered
        self._closed = True
        self._server.close()
        self._path.unlink(missing_ok=True)
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=self._last_seconds)
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(OSError):  # somebody else has something there
            self._path.parent.rmdir()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._closed:  # it was accepted just before, and is told just now
            writer.transport.abort()
            return
        task = asyncio.create_task(self._serve(reader, writer), name="tap connection")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take what one worker sends, until it hangs up or sends what cannot be read."""
        try:
            while (exchange := await self._read(reader)) is not None:
                await self._taken(exchange)
        except (OSError, asyncio.IncompleteReadError):
            _log.warning("a worker's connection broke; what it was sending is lost")
        except (ValueError, msgspec.DecodeError) as error:
            _log.error("a worker sent what is no exchange, its connection is closed: %s", error)
        finally:
            writer.transport.abort()  # nothing was ever written

    async def _read(self, reader: asyncio.StreamReader) -> Exchange | None:
        """The next exchange; None at the end.

        Raises:
            ValueError, msgspec.DecodeError: it is none, or too large.
            OSError, asyncio.IncompleteReadError: the connection broke.
        """
        try:
            prefix = await reader.readexactly(frames.PREFIX_BYTES)
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise
            return None
        length, size = frames.lengths(prefix)
        envelope = frames.envelope(await reader.readexactly(length), size)
        return envelope.filled([await reader.readexactly(length) for length in envelope.lengths])

    async def _taken(self, exchange: Exchange) -> None:
        try:
            await self._take(exchange)
        except Exception:
            _log.exception("an exchange of route %r could not be taken", exchange.route)


def _bound(path: Path) -> socket.socket:
    """The socket, which is nobody else's before anybody can connect.

    Raises:
        SetupError: it cannot be had, or others could reach it.
    """
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = path.parent.stat()
        if folder.st_uid != os.getuid() or folder.st_mode & 0o077:
            raise SetupError(f"{path.parent}: others can look into this folder; give it to this user alone (chmod 700)")
        if path.is_socket():
            path.unlink()  # of a process that ended without cleaning up
        bound.bind(str(path))
        path.chmod(0o600)
    except OSError as error:
        bound.close()
        raise SetupError(f"{path}: the socket of the tap process cannot be made: {error}") from None
    except SetupError:
        bound.close()
        raise
    return bound
