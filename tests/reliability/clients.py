"""Clients light enough for tens of thousands of requests, and blunt enough to break off where they like."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import NamedTuple, cast

import grpc
import grpc.aio

from tests.reliability.triton import SERVICE

BODY = b'{"inputs":[{"name":"IN","shape":[1],"datatype":"INT32","data":[1]}]}'


def infer(model: str = "echo", body: bytes = BODY, extra: bytes = b"") -> bytes:
    """An HTTP request for an inference."""
    return (
        b"POST /v2/models/%b/infer HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n%b\r\n%b" % (model.encode(), len(body), extra, body)
    )


def generate_stream(model: str = "echo") -> bytes:
    """An HTTP request for a stream of events."""
    body = b'{"text_input":"hello"}'
    return (
        b"POST /v2/models/%b/generate_stream HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n%b" % (model.encode(), len(body), body)
    )


def message(model: str = "echo", data: bytes = b"1234") -> bytes:
    """A ModelInferRequest."""
    return b"\x0a" + bytes([len(model)]) + model.encode() + b"\x3a" + bytes([len(data)]) + data


class Answer(NamedTuple):
    """An HTTP reply with a length."""

    status: int
    head: bytes
    body: bytes


class HttpClient(asyncio.Protocol):
    """One keep-alive connection, one request at a time."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._waiting: asyncio.Future[Answer] | None = None
        self.lost = False

    @classmethod
    async def connect(cls, address: str) -> HttpClient:
        """Connect to "host:port"."""
        host, _, port = address.rpartition(":")
        _, client = await asyncio.get_running_loop().create_connection(cls, host, int(port))
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one without inheriting from it

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionResetError("the gateway closed the connection"))

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        """Send a whole request; the future gets the reply, or ConnectionResetError."""
        self._waiting = asyncio.get_running_loop().create_future()
        if self.lost:
            self._waiting.set_exception(ConnectionResetError("the gateway closed the connection before"))
        self.transport.write(request)
        return self._waiting

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0 or self._waiting is None or self._waiting.done():
            return
        head = bytes(self._received[:end])
        at = head.lower().find(b"content-length:")
        size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._received) >= end + 4 + size:
            body = bytes(self._received[end + 4 : end + 4 + size])
            del self._received[: end + 4 + size]
            if b"connection: close" in head.lower():
                self.lost = True
            self._waiting.set_result(Answer(int(head[9:12]), head, body))

    def close(self) -> None:
        """Break off: nothing more is sent or read."""
        self.transport.abort()


async def once(address: str, request: bytes, seconds: float = 10.0) -> Answer:
    """One request on a connection of its own."""
    client = await HttpClient.connect(address)
    try:
        async with asyncio.timeout(seconds):
            return await client.ask(request)
    finally:
        client.close()


class GrpcClient:
    """A channel of its own for raw messages. An asynchronous context manager."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.aio.insecure_channel(
            address,
            options=(
                ("grpc.use_local_subchannel_pool", 1),
                ("grpc.max_receive_message_length", -1),
                ("grpc.enable_http_proxy", 0),
                ("grpc.initial_reconnect_backoff_ms", 20),
                ("grpc.max_reconnect_backoff_ms", 20),
            ),
        )
        self.infer: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self.channel.unary_unary(SERVICE + "ModelInfer")
        self.stream: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = self.channel.stream_stream(
            SERVICE + "ModelStreamInfer"
        )

    async def __aenter__(self) -> GrpcClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.channel.close()


class Load:
    """Requests from many clients at once, counted by what came of them.

    Attributes:
        outcomes: how many requests ended so: an HTTP status, a gRPC code's name, or "lost".
    """

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self._reached: list[tuple[int, asyncio.Event]] = []

    async def after(self, count: int) -> None:
        """Wait until so many requests have ended."""
        reached = asyncio.Event()
        self._reached.append((count, reached))
        await reached.wait()

    async def run(self, one: Callable[[int], Awaitable[str]], requests: int, clients: int) -> None:
        """Have `clients` make `requests` in all; `one` makes one for a client and says what came of it."""
        numbers = iter(range(requests))

        async def client(index: int) -> None:
            for _ in numbers:
                self._count(await one(index))

        async with asyncio.TaskGroup() as group:
            for index in range(clients):
                group.create_task(client(index))

    async def http(self, address: str, requests: int, clients: int, request: bytes | None = None) -> None:
        """HTTP inferences, each client on a connection that it opens again when it is lost."""
        open_now: dict[int, HttpClient] = {}
        asked = infer() if request is None else request

        async def one(index: int) -> str:
            try:
                client = open_now.get(index)
                if client is None or client.lost:
                    client = open_now[index] = await HttpClient.connect(address)
                return str((await client.ask(asked)).status)
            except OSError:
                return "lost"

        try:
            await self.run(one, requests, clients)
        finally:
            for client in open_now.values():
                client.close()

    async def grpc(self, address: str, requests: int, clients: int, channels: int = 2) -> None:
        """gRPC inferences over a few channels."""
        opened = [GrpcClient(address) for _ in range(channels)]
        asked = message()

        async def one(index: int) -> str:
            try:
                await opened[index % channels].infer(asked, timeout=20)
            except grpc.aio.AioRpcError as error:
                return error.code().name
            return "OK"

        try:
            await self.run(one, requests, clients)
        finally:
            for client in opened:
                await client.channel.close()

    def _count(self, outcome: str) -> None:
        self.outcomes[outcome] += 1
        total = self.outcomes.total()
        for count, reached in self._reached:
            if total >= count:
                reached.set()
