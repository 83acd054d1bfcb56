"""An HTTP listener of the tests' own, and a client that speaks bytes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import uvloop

from gateway.config import Config, load
from gateway.core.call import Call, ClientStream, Reply
from gateway.core.policy import fold
from gateway.frontends.cors import Cors
from gateway.frontends.http import HttpFrontend
from gateway.frontends.http_server import HttpListener
from gateway.frontends.intake import Intake
from gateway.frontends.pages import pages
from gateway.frontends.serving import Current, Serving, prefixes
from gateway.upstreams.base import Upstream

BOTH_LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
"""The gateway runs on uvloop; where there is none it must run as well."""


class Scripted:
    """An upstream that does what a test says.

    Attributes:
        calls: every call that came.
        ended: how many have come to an end, in whatever way.
    """

    def __init__(
        self,
        infer: Callable[[Call], Awaitable[Reply]] | None = None,
        stream: Callable[[Call, ClientStream], Awaitable[Reply]] | None = None,
    ) -> None:
        self._infer = infer
        self._stream = stream
        self.calls: list[Call] = []
        self.ended = 0

    async def infer(self, call: Call) -> Reply:
        self.calls.append(call)
        try:
            return await self._infer(call) if self._infer else Reply(200, body=call.body)
        finally:
            self.ended += 1

    async def stream(self, call: Call, client: ClientStream) -> Reply:
        self.calls.append(call)
        assert self._stream is not None
        try:
            return await self._stream(call, client)
        finally:
            self.ended += 1

    async def aclose(self) -> None:
        """Nothing to close."""


@dataclass
class Rig:
    """A running listener."""

    port: int
    listener: HttpListener
    intake: Intake
    current: Current


@dataclass
class Answer:
    """One response as it came."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *parts: bytes) -> None:
        self.writer.writelines(parts)

    async def head(self) -> tuple[int, dict[bytes, bytes]]:
        raw = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = raw[:-4].split(b"\r\n")
        version, status, *_ = first.split(b" ")
        assert version == b"HTTP/1.1"
        pairs = [line.split(b": ", 1) for line in lines]
        assert len({name for name, _ in pairs}) == len(pairs), "a header came twice"
        return int(status), {pair[0]: pair[1] for pair in pairs}

    async def answer(self, has_body: bool = True) -> Answer:
        status, headers = await self.head()
        if b"transfer-encoding" in headers:
            body = b"".join([chunk async for chunk in self.chunks()])
        else:
            body = await self.reader.readexactly(int(headers.get(b"content-length", b"0"))) if has_body else b""
        return Answer(status, headers, body)

    async def chunks(self) -> AsyncIterator[bytes]:
        while size := int(await self.reader.readline(), 16):
            yield await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
        assert await self.reader.readexactly(2) == b"\r\n"

    async def is_closed(self) -> bool:
        """Whether the server has closed the connection, with nothing more to say."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True

    def reset(self) -> None:
        """Go away without a word."""
        self.writer.transport.abort()


def config(*overrides: str) -> Config:
    return load(None, ("http={max_body_bytes: 100000}", "limits={deadline_seconds: 5}", *overrides))


def current(upstream: Upstream, *overrides: str) -> Current:
    loaded = config(*overrides)
    traffic = loaded.traffic
    return Current(
        Serving(
            fold([], upstream),
            loaded.http,
            loaded.grpc,
            loaded.limits,
            loaded.admin,
            prefixes=prefixes(traffic),
            cors=Cors.of(traffic),
        )
    )


@contextlib.asynccontextmanager
async def serving(upstream: Upstream, *overrides: str) -> AsyncIterator[Rig]:
    """A listener on a free port; `overrides` are configuration such as "limits.idle_seconds=1"."""
    serves = current(upstream, *overrides)
    intake = Intake(serves.serving.limits.max_buffered_bytes)
    sock = socket.create_server(("127.0.0.1", 0))
    listener = HttpListener(HttpFrontend(serves, intake), pages(), sock, serves, intake)
    await listener.start()
    port = sock.getsockname()[1]
    try:
        yield Rig(port, listener, intake, serves)
    finally:
        await listener.stop(1)
        assert intake.requests == 0
        assert intake.bytes_held == 0


@contextlib.asynccontextmanager
async def connected(rig: Rig) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that happens by itself."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def post(path: bytes, body: bytes, *lines: bytes) -> bytes:
    """A request with a body of announced length."""
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % (path, len(body))
    return head + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


INFER = b"/v2/models/echo/infer"
READY = b"GET /v2/models/echo/ready HTTP/1.1\r\nHost: x\r\n\r\n"
