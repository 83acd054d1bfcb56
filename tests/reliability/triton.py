"""A Triton of the tests' own, over real sockets and as small as can be: what it was asked, and how that ended.

Models: `echo` answers with the request; `slow` waits for `gate`; `big` answers with 16 MB; streams of `endless` end
when their client goes away, those of others echo (gRPC), or send five events (HTTP).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, Self, TypeAlias, cast

import grpc
import grpc.aio

SERVICE = "/inference.GRPCInferenceService/"
BIG = 16 * 10**6
EVENTS = 5
_MODELS = ("echo", "slow", "big", "endless")
_INDEX = json.dumps([{"name": name, "version": "1", "state": "READY"} for name in _MODELS]).encode()

Handler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"


def http_reply(status: int, body: bytes) -> bytes:
    """A whole HTTP reply."""
    return (
        b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(body))
    ) + body


class Triton:
    """Both services on free ports. An asynchronous context manager.

    Attributes:
        http: "host:port" of its HTTP service.
        grpc: "host:port" of its gRPC service.
        asked: inferences that came, by protocol.
        abandoned: inferences whose client went away before they were answered, by protocol.
        held: inferences that wait for the gate, by protocol.
        gate: cleared, `slow` waits until it is set.
    """

    def __init__(self) -> None:
        self.http = self.grpc = ""
        self.asked: Counter[str] = Counter()
        self.abandoned: Counter[str] = Counter()
        self.held: Counter[str] = Counter()
        self.gate = asyncio.Event()
        self.gate.set()
        self.connections: set[asyncio.BaseTransport] = set()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._http = await loop.create_server(lambda: _Http(self), "127.0.0.1", 0, backlog=1024)
        self.http = f"127.0.0.1:{self._http.sockets[0].getsockname()[1]}"
        self._grpc = grpc.aio.server(options=(("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1)))
        self._grpc.add_generic_rpc_handlers((_Handlers(self),))
        self.grpc = f"127.0.0.1:{self._grpc.add_insecure_port('127.0.0.1:0')}"
        await self._grpc.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.gate.set()
        self._http.close()
        for transport in list(self.connections):
            transport.close()
        await self._grpc.stop(0)

    async def wait(self, protocol: str) -> None:
        """Wait for the gate."""
        self.held[protocol] += 1
        try:
            await self.gate.wait()
        finally:
            self.held[protocol] -= 1

    @property
    def total(self) -> int:
        """Inferences that came over both protocols."""
        return self.asked.total()


class _Http(asyncio.Protocol):
    """One connection; requests one after another, as the gateway sends them."""

    def __init__(self, triton: Triton) -> None:
        self._triton = triton
        self._received = bytearray()
        self._work: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without inheriting from it
        self._triton.connections.add(self._transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._triton.connections.discard(self._transport)
        if self._work is not None:
            self._work.cancel()
            self._triton.abandoned["http"] += 1

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._received[:end]).lower()
        at = head.find(b"content-length:")
        size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._received) < end + 4 + size:
            return
        path = bytes(self._received[:end]).split(b" ", 2)[1]
        body = bytes(self._received[end + 4 : end + 4 + size])
        del self._received[: end + 4 + size]
        self._answer(path, body)

    def _answer(self, path: bytes, body: bytes) -> None:
        if path == b"/v2/repository/index":
            self._transport.write(http_reply(200, _INDEX))
        elif path.endswith(b"/infer"):
            self._triton.asked["http"] += 1
            model = path.split(b"/")[3]
            if model == b"echo":
                self._transport.write(http_reply(200, body))
            elif model == b"big":
                self._transport.write(http_reply(200, b"x" * BIG))
            elif model == b"slow":
                self._begin(self._slow(body))
            else:
                self._transport.write(http_reply(400, b'{"error":"Request for unknown model"}'))
        elif path.endswith(b"/generate_stream"):
            self._triton.asked["http"] += 1
            self._begin(self._events(b"/endless/" in path))
        else:
            self._transport.write(http_reply(200, b"{}"))

    def _begin(self, work: Any) -> None:
        self._work = asyncio.get_running_loop().create_task(work)

    async def _slow(self, body: bytes) -> None:
        await self._triton.wait("http")
        self._transport.write(http_reply(200, body))
        self._work = None

    async def _events(self, endless: bool) -> None:
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        sent = 0
        while endless or sent < EVENTS:
            event = b'data: {"n":%d}\n\n' % sent
            self._transport.write(b"%x\r\n%b\r\n" % (len(event), event))
            sent += 1
            await asyncio.sleep(0.002)
        self._transport.write(b"0\r\n\r\n")
        self._work = None


class _Handlers(grpc.GenericRpcHandler):
    """Raw bytes in and out."""

    def __init__(self, triton: Triton) -> None:
        self._triton = triton
        self._unary: Handler = grpc.unary_unary_rpc_method_handler(self._infer)
        self._stream: Handler = grpc.stream_stream_rpc_method_handler(self._streamed)
        self._rest: Handler = grpc.unary_unary_rpc_method_handler(self._other)

    def service(self, details: grpc.HandlerCallDetails) -> Handler:
        by_method = {SERVICE + "ModelInfer": self._unary, SERVICE + "ModelStreamInfer": self._stream}
        return by_method.get(details.method, self._rest)

    async def _infer(self, request: bytes, context: Any) -> bytes:
        self._triton.asked["grpc"] += 1
        if b"\x04slow" in request[:8]:
            with self._watched():
                await self._triton.wait("grpc")
        return b"\x0a\x03big" + bytes(BIG) if b"\x03big" in request[:8] else request

    async def _streamed(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        self._triton.asked["grpc"] += 1
        with self._watched():
            async for request in requests:
                endless = b"\x07endless" in request[:10]
                yield stream_response(request, endless)
                while endless:
                    await asyncio.sleep(0.002)
                    yield stream_response(request, endless)

    async def _other(self, request: bytes, context: Any) -> bytes:
        return b""

    @contextlib.contextmanager
    def _watched(self) -> Any:
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            # A stream that is cancelled while grpc writes is not told so: its generator is closed instead.
            self._triton.abandoned["grpc"] += 1
            raise


def stream_response(response: bytes, more: bool = False) -> bytes:
    """A ModelStreamInferResponse; `more` says in Triton's way that others follow, as of a decoupled model."""
    parameter = b"\x0a\x15triton_final_response\x12\x02\x08" + bytes([not more])
    response = b"\x22" + bytes([len(parameter)]) + parameter + response
    return b"\x12" + bytes([len(response)]) + response
