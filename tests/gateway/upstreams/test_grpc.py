import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import pytest
import uvloop
from msgspec.structs import replace

from gateway.config import LimitsSection
from gateway.core.call import Call, Protocol
from gateway.core.errors import ClientGone, DeadlineExceeded, UpstreamBroken, UpstreamUnavailable
from gateway.upstreams.fake import FakeClient
from gateway.upstreams.grpc import GrpcUpstream
from gateway.wire.http2 import frames
from tests.gateway.conftest import MakeCall
from tests.gateway.grpc_peers import RawPeer, raw_server

Upstreams = Callable[[str], GrpcUpstream]
ADDED = ((b"x-tenant", b"a"), (b"traceparent", b"00-2"), (b"key-bin", b"\0"))


@pytest.fixture
async def connect() -> AsyncIterator[Upstreams]:
    """Make upstreams that are closed in the end."""
    made: list[GrpcUpstream] = []

    def make(address: str, **limits: float) -> GrpcUpstream:
        made.append(GrpcUpstream(address, LimitsSection(**limits)))
        return made[-1]

    yield make
    for upstream in made:
        await upstream.aclose()


@pytest.fixture
def call(make_call: MakeCall) -> Callable[..., Call]:
    def make(body: bytes = b"\x0a\x01m", seconds: float = 5.0, **more: Any) -> Call:
        return make_call(protocol=Protocol.GRPC, body=body, seconds=seconds, **more)

    return make


@contextlib.asynccontextmanager
async def grpc_server(**methods: Callable[..., Any]) -> AsyncIterator[str]:
    """grpc.aio in Triton's place."""
    makers = {
        "ModelInfer": grpc.unary_unary_rpc_method_handler,
        "ModelStreamInfer": grpc.stream_stream_rpc_method_handler,
    }
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        name: makers[name](method) for name, method in methods.items()
    }
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("inference.GRPCInferenceService", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def echo(message: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    del context
    return message


async def echo_each(
    messages: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]
) -> AsyncIterator[bytes]:
    await context.send_initial_metadata((("begun", "yes"),))
    async for message in messages:
        yield message
    context.set_trailing_metadata((("ended", "yes"),))


@pytest.mark.parametrize("size", [0, 1, 16_384, 70_000, 600_000, 16_000_000])
async def test_messages_of_every_size_come_back(connect: Upstreams, call: Callable[..., Call], size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    async with grpc_server(ModelInfer=echo) as address:
        upstream = connect(address)
        for _ in range(2):
            reply = await upstream.infer(call(content))
            assert (reply.status, reply.body) == (0, content)
        await upstream.aclose()


async def test_many_calls_share_one_connection(connect: Upstreams, call: Callable[..., Call]) -> None:
    peers: set[str] = set()

    async def remember(message: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        peers.add(context.peer())
        return message

    contents = [b"%d" % number for number in range(200)]
    async with grpc_server(ModelInfer=remember) as address:
        upstream = connect(address)
        replies = await asyncio.gather(*[upstream.infer(call(content)) for content in contents])
        await upstream.aclose()
    assert [reply.body for reply in replies] == contents
    assert len(peers) == 1


async def test_deadline_and_metadata_go_along(connect: Upstreams, call: Callable[..., Call]) -> None:
    seen: dict[str, object] = {}

    async def look(message: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        seen.update({str(key): value for key, value in context.invocation_metadata() or ()})
        seen["left"] = context.time_remaining()
        return message

    async with grpc_server(ModelInfer=look) as address:
        upstream = connect(address)
        metadata = ((b"traceparent", b"00-1"), (b"authorization", b"secret"))
        await upstream.infer(call(seconds=30, metadata=metadata))
        assert seen["traceparent"] == "00-1"
        await upstream.infer(replace(call(seconds=30, metadata=metadata), added=ADDED))
        await upstream.aclose()
    assert (seen["traceparent"], seen["x-tenant"], seen["key-bin"]) == ("00-2", "a", b"\0")
    assert "authorization" not in seen
    assert seen["left"] == pytest.approx(30, abs=3)


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.NOT_FOUND])
async def test_what_triton_says_is_an_answer_whatever_the_code(
    connect: Upstreams, call: Callable[..., Call], code: grpc.StatusCode
) -> None:
    async def refuse(message: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        await context.abort(code, "Exceeds maximum queue size, see 10.0.0.1:8001")

    async with grpc_server(ModelInfer=refuse) as address:
        upstream = connect(address)
        reply = await upstream.infer(call())
        assert (reply.status, reply.message) == (code.value[0], "Exceeds maximum queue size, see ...")
        await upstream.aclose()


async def test_what_the_operator_adds_goes_along_with_streams(connect: Upstreams, call: Callable[..., Call]) -> None:
    seen: list[tuple[str, str | bytes]] = []

    async def look(
        messages: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]
    ) -> AsyncIterator[bytes]:
        seen.extend((str(key), value) for key, value in context.invocation_metadata() or ())
        async for message in messages:
            yield message

    async with grpc_server(ModelStreamInfer=look) as address:
        path = b"/inference.GRPCInferenceService/ModelStreamInfer"
        stream = call(b"", line=path, metadata=((b"traceparent", b"00-1"),))
        await connect(address).stream(replace(stream, added=ADDED), FakeClient(b"1"))
    told = {pair for pair in seen if pair[0] in ("traceparent", "x-tenant")}
    assert told == {("x-tenant", "a"), ("traceparent", "00-2")}


async def test_streams_go_both_ways(connect: Upstreams, call: Callable[..., Call]) -> None:
    messages = [b"x" * size for size in (0, 10, 300_000, 3_000_000, 1)]
    async with grpc_server(ModelStreamInfer=echo_each) as address:
        upstream = connect(address)
        client = FakeClient(*messages)
        line = b"/inference.GRPCInferenceService/ModelStreamInfer"
        reply = await upstream.stream(call(b"first", line=line), client)
        assert (reply.status, dict(reply.metadata)) == (0, {b"ended": b"yes"})
        assert client.received == [b"first", *messages]
        await upstream.aclose()


async def test_giving_up_ends_the_work_in_triton(connect: Upstreams, call: Callable[..., Call]) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def endless(message: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return message

    async with grpc_server(ModelInfer=endless) as address:
        upstream = connect(address)
        task = asyncio.create_task(upstream.infer(call()))
        await begun.wait()
        task.cancel()
        async with asyncio.timeout(5):
            await cancelled.wait()
        with pytest.raises(asyncio.CancelledError):
            await task
        await upstream.aclose()


async def test_nobody_there_is_unavailable_and_names_no_address(connect: Upstreams, call: Callable[..., Call]) -> None:
    upstream = connect("127.0.0.1:1")
    for _ in range(3):  # the later ones do not even try
        with pytest.raises(UpstreamUnavailable) as caught:
            await upstream.infer(call())
        assert "127.0.0.1" not in caught.value.message


async def test_it_is_found_again_when_it_is_back(connect: Upstreams, call: Callable[..., Call]) -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    sock.close()
    upstream = connect(f"127.0.0.1:{port}")
    with pytest.raises(UpstreamUnavailable):
        await upstream.infer(call())

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = RawPeer(reader, writer)
        await reader.readexactly(len(frames.PREFACE))
        peer.say(frames.SETTINGS)
        await peer.until(frames.DATA)
        peer.answer(1)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    async with asyncio.timeout(5):
        while True:
            with contextlib.suppress(UpstreamUnavailable):
                assert (await upstream.infer(call())).body == b"answer"
                break
            await asyncio.sleep(0.01)
    server.close()
    await upstream.aclose()


async def test_something_that_does_not_speak_grpc_is_unavailable(connect: Upstreams, call: Callable[..., Call]) -> None:
    async def other(peer: RawPeer) -> None:
        peer.writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with raw_server(other) as address:
        with pytest.raises(UpstreamUnavailable):
            await connect(address).infer(call())


async def test_a_port_that_only_accepts_is_unavailable(connect: Any, call: Callable[..., Call]) -> None:
    async def silent(peer: RawPeer) -> None:
        await peer.reader.read()

    async with raw_server(silent) as address:
        upstream = connect(address, connect_timeout_seconds=0.05)
        with pytest.raises(UpstreamUnavailable):
            await upstream.infer(call())
        with pytest.raises(DeadlineExceeded):
            await connect(address).infer(call(seconds=0.05))


async def test_a_full_connection_gets_company(connect: Upstreams, call: Callable[..., Call]) -> None:
    connections = 0
    release = asyncio.Event()

    async def one_at_a_time(peer: RawPeer) -> None:
        nonlocal connections
        connections += 1
        peer.writer.write(frames.settings({frames.MAX_CONCURRENT_STREAMS: 1}))
        while True:
            _, _, stream_id, _ = await peer.until(frames.DATA)
            await release.wait()
            peer.answer(stream_id)

    async with raw_server(one_at_a_time) as address:
        upstream = connect(address)
        calls = [asyncio.create_task(upstream.infer(call())) for _ in range(3)]
        async with asyncio.timeout(5):
            while connections < 3:
                await asyncio.sleep(0.001)
        release.set()
        assert [(await task).body for task in calls] == [b"answer"] * 3
        assert connections == 3


async def test_a_client_that_goes_away_ends_the_stream_in_triton(connect: Upstreams, call: Callable[..., Call]) -> None:
    class Leaver(FakeClient):
        async def receive(self) -> bytes | None:
            raise ClientGone("gone")

    resets: list[bytes] = []

    async def listen(peer: RawPeer) -> None:
        peer.say(frames.SETTINGS)
        resets.append((await peer.until(frames.RST_STREAM))[3])
        peer.writer.close()

    async with raw_server(listen) as address:
        with pytest.raises(ClientGone):
            await connect(address).stream(call(b""), Leaver())
        async with asyncio.timeout(5):
            while not resets:
                await asyncio.sleep(0.001)
    assert resets == [b"\0\0\0\x08"]


async def test_closing_breaks_what_is_under_way(connect: Upstreams, call: Callable[..., Call]) -> None:
    heard = asyncio.Event()

    async def silent(peer: RawPeer) -> None:
        peer.say(frames.SETTINGS)
        await peer.until(frames.DATA)
        heard.set()
        await peer.reader.read()

    async with raw_server(silent) as address:
        upstream = connect(address)
        task: Awaitable[object] = asyncio.create_task(upstream.infer(call()))
        await heard.wait()
        await upstream.aclose()
        with pytest.raises(UpstreamBroken):
            await task
        with pytest.raises(UpstreamUnavailable, match="stopping"):
            await upstream.infer(call())


def test_it_runs_on_uvloop_too(make_call: MakeCall) -> None:
    async def main() -> list[int]:
        async with grpc_server(ModelInfer=echo) as address:
            upstream = GrpcUpstream(address, LimitsSection())
            calls = [make_call(protocol=Protocol.GRPC, body=b"x" * size) for size in (0, 100, 70_000, 5_000_000)]
            sizes = [len((await upstream.infer(call)).body) for call in calls]
            await upstream.aclose()
        return sizes

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(main()) == [0, 100, 70_000, 5_000_000]
