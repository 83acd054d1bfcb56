"""One connection to Triton's HTTP port, one exchange at a time. The parser is httptools (llhttp)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

from gateway.core.call import Reply
from gateway.core.errors import UpstreamBroken


class HttpConnection(asyncio.Protocol):
    """An open socket and the answer that is being read from it.

    Args:
        on_lost: told once when the connection is gone, so that nobody picks it again.
    """

    def __init__(self, on_lost: Callable[[HttpConnection], None]) -> None:
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._answer: asyncio.Future[Reply] | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._chunks: list[bytes] = []
        self._status = 0
        self.reusable = False

    async def exchange(self, head: bytes, body: bytes) -> Reply:
        """Send one request and wait for the whole answer; cancelling this closes the connection.

        Args:
            head: request line and headers, up to and with the empty line.
            body: exactly as many bytes as `content-length` in `head` says.

        Raises:
            UpstreamBroken: the connection ended, or what came is not HTTP.
        """
        if self._transport is None or self._transport.is_closing():
            raise UpstreamBroken("the connection to Triton is closed; try again")
        self.reusable = False
        self._headers, self._chunks = [], []
        self._parser = httptools.HttpResponseParser(self)
        self._answer = asyncio.get_running_loop().create_future()
        try:
            self._transport.writelines([head, body])
            return await self._answer
        except BaseException:
            self.close()
            raise
        finally:
            self._answer = None
            self._parser = None

    def close(self) -> None:
        """Drop the connection without waiting for anything."""
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the socket."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without inheriting from it

    def data_received(self, data: bytes) -> None:
        """Feed the parser; bytes that nobody asked for end the connection."""
        if self._parser is None:
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail("Triton's answer was not HTTP; the connection was closed")

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the exchange that is under way, if one is."""
        del error
        self.reusable = False
        self._fail("the connection to Triton broke before its answer was complete; the request may have been executed")
        self._on_lost(self)

    # httptools callbacks

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect one header."""
        self._headers.append((name.lower(), value))

    def on_body(self, chunk: bytes) -> None:
        """Collect one piece of the body."""
        self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        """Hand over the answer; `100 Continue` and its like are not one."""
        if self._parser is None or self._answer is None:
            return
        status = self._parser.get_status_code()
        if status < 200:
            self._headers, self._chunks = [], []
            return
        self.reusable = self._parser.should_keep_alive()
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        if not self._answer.done():
            self._answer.set_result(Reply(status, tuple(self._headers), body))

    def _fail(self, message: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(UpstreamBroken(message))
        self.close()
