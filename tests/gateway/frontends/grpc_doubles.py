"""Both ends of a gRPC stream, for the tests of what lies between: a scripted client, and a Triton that echoes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import grpc.aio
from tritonclient.grpc import service_pb2

from gateway.config import AdminSection, Config, LimitsSection
from gateway.core.call import Body, Call, ClientStream, Metadata, Operation, Protocol, Reply
from gateway.core.deadline import Deadline
from gateway.core.errors import ClientGone
from gateway.core.policy import Chain, Policy, fold
from gateway.frontends.grpc import GrpcFrontend
from gateway.frontends.grpc_server import GrpcListener
from gateway.frontends.intake import Intake
from gateway.frontends.serving import Current, Serving
from gateway.wire.http2.grpc_fields import RequestHead

T = TypeVar("T")


def request(model: str, request_id: str = "", **parameters: Any) -> bytes:
    """A ModelInferRequest; integers become int64 parameters, booleans bool ones, and text string ones."""
    message = service_pb2.ModelInferRequest(model_name=model, id=request_id)
    for name, value in parameters.items():
        if isinstance(value, bool):
            message.parameters[name].bool_param = value
        elif isinstance(value, int):
            message.parameters[name].int64_param = value
        else:
            message.parameters[name].string_param = value
    return bytes(message.SerializeToString())


def in_shared_memory(model: str, request_id: str) -> bytes:
    """A ModelInferRequest whose input lies in shared memory."""
    message = service_pb2.ModelInferRequest(model_name=model, id=request_id)
    message.inputs.add(name="x").parameters["shared_memory_region"].string_param = "secrets"
    return bytes(message.SerializeToString())


def response(message: Body, final: bool | None = None) -> bytes:
    """The answer to a request that says no more than whose it is."""
    asked = service_pb2.ModelInferRequest.FromString(bytes(message))
    answer = service_pb2.ModelStreamInferResponse()
    answer.infer_response.model_name = asked.model_name
    answer.infer_response.id = asked.id
    if final is not None:
        answer.infer_response.parameters["triton_final_response"].bool_param = final
    return bytes(answer.SerializeToString())


def headed(path: str, metadata: Metadata = (), timeout: float | None = None) -> RequestHead:
    """What the headers of a well-formed request say."""
    return RequestHead(path, metadata, timeout, "identity", 0, "")


def opened(seconds: float = 60, metadata: Metadata = (), peer: str = "") -> Call:
    """A stream that has just opened."""
    return Call(
        protocol=Protocol.GRPC,
        operation=Operation.STREAM_INFER,
        line=b"",
        model="",
        version="",
        request_id="an-id",
        metadata=metadata,
        body=b"",
        head_len=0,
        deadline=Deadline.after(seconds),
        peer=peer,
    )


class ScriptedClient:
    """The client's end of a stream.

    Attributes:
        started: the metadata of each `start`.
        heard: what was sent to it.
        reads: set while it reads; cleared, senders wait as if its window were full.
        taken: how many of its messages were received.
    """

    def __init__(self, *messages: bytes) -> None:
        self.started: list[Metadata] = []
        self.heard: list[Body] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self.taken = 0
        self._gone = False
        self._said: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._changed = asyncio.Condition()
        for message in messages:
            self.say(message)

    def say(self, message: bytes) -> None:
        self._said.put_nowait(message)

    def half_close(self) -> None:
        self._said.put_nowait(None)

    def leave(self) -> None:
        self._gone = True
        self.reads.set()

    async def receive(self) -> Body | None:
        message = await self._said.get()
        self.taken += 1
        return message

    async def start(self, metadata: Metadata) -> None:
        self.started.append(metadata)

    async def send(self, message: Body) -> None:
        assert self.started, "a message before the stream was on"
        await self.reads.wait()
        if self._gone:
            raise ClientGone("nobody reads")
        async with self._changed:
            self.heard.append(message)
            self._changed.notify_all()

    async def hears(self, count: int) -> list[Any]:
        """Wait until it has heard `count` messages; returns them parsed."""
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: len(self.heard) >= count)
        return self.parsed()

    def parsed(self) -> list[Any]:
        return [service_pb2.ModelStreamInferResponse.FromString(bytes(message)) for message in self.heard]

    def errors(self) -> list[tuple[str, str]]:
        """Request id and words of each error heard."""
        return [(m.infer_response.id, m.error_message) for m in self.parsed() if m.error_message]

    def answered(self) -> list[tuple[str, str]]:
        """Model and request id of each answer heard."""
        return [(m.infer_response.model_name, m.infer_response.id) for m in self.parsed() if not m.error_message]


class EchoTriton:
    """Answers every request of a stream with its id.

    Attributes:
        calls: the streams that it has seen.
        open: how many are on.
        gate: cleared, it takes nothing.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.open = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def infer(self, call: Call) -> Reply:
        self.calls.append(call)
        return Reply(0, body=call.body)

    async def stream(self, call: Call, client: ClientStream) -> Reply:
        self.calls.append(call)
        self.open += 1
        try:
            await client.start(())
            await self.gate.wait()
            while (message := await client.receive()) is not None:
                await client.send(response(message))
                await self.gate.wait()
            return Reply(0)
        finally:
            self.open -= 1


def serving_with(chain: Chain, **admin: bool) -> Serving:
    """What front ends serve with: this chain, and every limit at its default."""
    config = Config(limits=LimitsSection(deadline_seconds=5), admin=AdminSection(**admin))
    return Serving(chain=chain, http=config.http, grpc=config.grpc, limits=config.limits, admin=config.admin)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


def calling(channel: grpc.aio.Channel, path: str) -> grpc.aio.StreamStreamMultiCallable[bytes, bytes]:
    """A stream of raw bytes."""
    return channel.stream_stream(path)


async def within(work: Awaitable[T]) -> T:
    """Wait for something that must not take long."""
    async with asyncio.timeout(10):
        return await work


class GrpcGateway:
    """A front end behind real sockets.

    Attributes:
        triton: what answers.
        current: what is served with.
        intake: what is held.
        address: "host:port".
    """

    def __init__(self, triton: EchoTriton, policies: Sequence[Policy] = (), **admin: bool) -> None:
        self.triton = triton
        self.current = Current(serving_with(fold(policies, triton), **admin))
        self.intake = Intake(2**20)
        self.frontend = GrpcFrontend(self.current, self.intake)
        self.address = ""

    async def __aenter__(self) -> GrpcGateway:
        sock = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{sock.getsockname()[1]}"
        self._listener = GrpcListener(self.frontend, sock, self.current, self.intake)
        await self._listener.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._listener.stop(1)
