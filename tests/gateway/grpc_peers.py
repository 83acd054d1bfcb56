"""Both ends of a gRPC connection for tests: a front end that echoes, and a client that says any frame."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

from gateway.config import Config, load
from gateway.core.call import Body, ClientStream, Metadata, Reply
from gateway.core.policy import Chain
from gateway.frontends.grpc_server import GrpcListener
from gateway.frontends.intake import Intake
from gateway.frontends.serving import Current, Serving
from gateway.upstreams.fake import FakeUpstream
from gateway.wire.http2 import frames, grpc_fields
from gateway.wire.http2.grpc_fields import RequestHead
from gateway.wire.http2.hpack import Decoder, literal

UNARY, STREAMING = "/test.Echo/Unary", "/test.Echo/Stream"


class EchoFrontend:
    """Says back what it hears.

    Attributes:
        gate: cleared, unary calls wait until it is set.
        cancelled: how many calls were given up by their client.
        waiting: how many calls wait at the gate.
        metadata: what the last call brought.
        timeout: seconds that the last call's client gave it.
        peer: where the last call came from.
    """

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.cancelled = 0
        self.waiting = 0
        self.metadata: Metadata = ()
        self.timeout: float | None = None
        self.peer = ""

    def streaming(self, path: str) -> bool | None:
        return {UNARY: False, STREAMING: True}.get(path)

    async def unary(self, head: RequestHead, message: Body, peer: str) -> Reply:
        self.metadata, self.timeout, self.peer = head.metadata, head.timeout, peer
        self.waiting += 1
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.waiting -= 1
        if message == b"bug":
            raise ZeroDivisionError("secret")
        if message == b"refuse":
            return Reply(5, ((b"retry-after", b"1"),), message="100 % n\u00f6")
        return Reply(0, ((b"seen-bin", b"\x00\xff"),), message)

    async def stream(self, head: RequestHead, client: ClientStream, peer: str) -> Reply:
        self.peer = peer
        count = 0
        try:
            await client.start(((b"begun", b"yes"),))
            while (message := await client.receive()) is not None:
                await self.gate.wait()
                await client.send(message)
                count += 1
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return Reply(0, ((b"count", b"%d" % count),))


def serving(config: Config) -> Serving:
    """A configuration, as front ends see it."""
    fake = FakeUpstream()
    return Serving(Chain(fake.infer, fake.stream), config.http, config.grpc, config.limits, config.admin)


class Served:
    """A listener that runs.

    Attributes:
        listener: it.
        frontend: what it serves.
        address: its "host:port".
        intake: what counts its bytes.
    """

    def __init__(self, listener: GrpcListener, frontend: EchoFrontend, port: int, intake: Intake) -> None:
        self.listener = listener
        self.frontend = frontend
        self.port = port
        self.address = f"127.0.0.1:{port}"
        self.intake = intake


@contextlib.asynccontextmanager
async def echo_server(*overrides: str, max_bytes: int = 2**30) -> AsyncIterator[Served]:
    """Serve `EchoFrontend` on a free port.

    Args:
        overrides: of the configuration.
        max_bytes: that the intake holds.
    """
    frontend, intake = EchoFrontend(), Intake(max_bytes)
    sock = socket.create_server(("127.0.0.1", 0))
    port: int = sock.getsockname()[1]
    listener = GrpcListener(frontend, sock, Current(serving(load(None, overrides))), intake)
    await listener.start()
    try:
        yield Served(listener, frontend, port, intake)
    finally:
        await listener.stop(0)


def request_block(path: str = UNARY, *extra: tuple[bytes, bytes], content_type: bytes = b"application/grpc") -> bytes:
    """A request's headers in HPACK."""
    fields = [(b":path", path.encode()), (b":authority", b"t"), (b"content-type", content_type), *extra]
    return b"\x83\x86" + b"".join([literal(*field) for field in fields])


def message(content: bytes, compressed: int = 0) -> bytes:
    """A gRPC message with its prefix."""
    return bytes((compressed,)) + len(content).to_bytes(4, "big") + content


Frame = tuple[int, int, int, bytes]


class RawPeer:
    """A client that says any frame, well-formed or not."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._decoder = Decoder(2**20, lambda fields: fields)

    def say(self, kind: int, flags: int = 0, stream_id: int = 0, payload: bytes = b"") -> None:
        """Send a frame."""
        self.writer.write(frames.frame(kind, flags, stream_id, payload))

    def request(
        self, stream_id: int, content: bytes = b"hello", path: str = UNARY, *extra: tuple[bytes, bytes]
    ) -> None:
        """Send a whole unary request."""
        self.say(frames.HEADERS, frames.END_HEADERS, stream_id, request_block(path, *extra))
        self.say(frames.DATA, frames.END_STREAM, stream_id, message(content))

    async def hear(self) -> Frame:
        """The next frame; raises IncompleteReadError at the end."""
        head = await self.reader.readexactly(frames.HEAD_SIZE)
        high, low, kind, flags, stream_id = frames.HEAD.unpack(head)
        return kind, flags, stream_id, await self.reader.readexactly(high << 16 | low)

    async def until(self, kind: int, *, flags: int = 0) -> Frame:
        """The next frame of this kind (with these flags); those before it are dropped."""
        while True:
            frame = await self.hear()
            if frame[0] == kind and frame[1] & flags == flags:
                return frame

    async def reply(self) -> tuple[dict[bytes, bytes], bytes]:
        """The next reply: all its headers and trailers, and its message's bytes with the prefix."""
        headers: dict[bytes, bytes] = {}
        data = b""
        while True:
            kind, flags, _, payload = await self.hear()
            if kind == frames.HEADERS:
                headers.update(self._decoder.decode(payload))
            elif kind == frames.DATA:
                data += payload
            if kind in (frames.HEADERS, frames.DATA) and flags & frames.END_STREAM:
                return headers, data

    def answer(self, stream_id: int, content: bytes | None = b"answer", status: int = 0, said: str = "") -> None:
        """Send a whole reply."""
        self.say(frames.HEADERS, frames.END_HEADERS, stream_id, grpc_fields.RESPONSE_HEADERS)
        if content is not None:
            self.say(frames.DATA, 0, stream_id, message(content))
        end = frames.END_HEADERS | frames.END_STREAM
        self.say(frames.HEADERS, end, stream_id, grpc_fields.trailers(status, said, ()))

    async def goodbye(self) -> int:
        """The error code of the connection's end; -1 when it was just closed."""
        code = -1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind, _, _, payload = await self.hear()
                if kind == frames.GOAWAY:
                    code = frames.read_goaway(payload)[1]
        return code


@contextlib.asynccontextmanager
async def raw_server(talk: Callable[[RawPeer], Awaitable[None]]) -> AsyncIterator[str]:
    """Listen on a free port and say what `talk` says, after the settings, on each connection; gives "host:port"."""
    tasks: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = RawPeer(reader, writer)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await reader.readexactly(len(frames.PREFACE))
                await talk(peer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def raw_client(port: int, greet: bool = True) -> AsyncIterator[RawPeer]:
    """Connect to a port of this machine, and say what every HTTP/2 client says first."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    peer = RawPeer(reader, writer)
    if greet:
        writer.write(frames.PREFACE + frames.settings({}))
    try:
        yield peer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
