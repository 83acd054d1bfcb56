import asyncio
import socket
from collections.abc import AsyncIterator

import grpc
import grpc.aio
import pytest

from gateway.config import load
from gateway.frontends.grpc_server import GrpcListener
from gateway.frontends.intake import Intake
from gateway.frontends.serving import Current
from gateway.wire.http2 import frames
from tests.gateway.frontends.http_rig import BOTH_LOOPS
from tests.gateway.grpc_peers import (
    STREAMING,
    UNARY,
    EchoFrontend,
    Served,
    echo_server,
    message,
    raw_client,
    request_block,
    serving,
)

LOOPS = BOTH_LOOPS

LARGE = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with echo_server("grpc={max_message_bytes: 20000000}") as server:
        yield server


@pytest.fixture
async def channel(served: Served) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(served.address, options=LARGE) as channel:
        yield channel


def unary(channel: grpc.aio.Channel, path: str = UNARY) -> grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]:
    return channel.unary_unary(path)


def streaming(channel: grpc.aio.Channel) -> grpc.aio.StreamStreamCall[bytes, bytes]:
    method: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(STREAMING)
    return method()


async def until(condition: object) -> None:
    """Wait until a call of `condition` is true."""
    assert callable(condition)
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("size", [0, 1, 5, 16_384, 70_000, 600_000, 16_000_000])
async def test_messages_of_every_size_come_back(channel: grpc.aio.Channel, served: Served, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    assert await unary(channel)(content) == content
    assert served.intake.bytes_held == 0


async def test_many_calls_at_a_time(channel: grpc.aio.Channel) -> None:
    contents = [b"%d" % number * 1000 * (number % 40) for number in range(300)]
    assert await asyncio.gather(*[unary(channel)(content) for content in contents]) == contents


async def test_metadata_and_timeout_reach_the_front_end(channel: grpc.aio.Channel, served: Served) -> None:
    call = unary(channel)(b"", metadata=(("key", "value"), ("key-bin", b"\xff\x00")), timeout=60)
    await call
    host = b"127.0.0.1:%d" % served.port
    assert served.frontend.metadata == ((b"host", host), (b"key", b"value"), (b"key-bin", b"\xff\x00"))
    assert served.frontend.peer == "127.0.0.1"
    assert served.frontend.timeout == pytest.approx(60, abs=5)
    assert dict(await call.trailing_metadata()) == {"seen-bin": b"\x00\xff"}


async def test_a_status_comes_with_its_words_and_metadata(channel: grpc.aio.Channel) -> None:
    call = unary(channel)(b"refuse")
    assert (await call.code(), await call.details()) == (grpc.StatusCode.NOT_FOUND, "100 % n\u00f6")
    assert dict(await call.trailing_metadata()) == {"retry-after": "1"}


async def test_unknown_methods_are_unimplemented(channel: grpc.aio.Channel) -> None:
    call = unary(channel, "/test.Echo/Nope")(b"x" * 100_000)
    assert await call.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "Method not found!" in str(await call.details())


async def test_a_message_above_the_limit_is_refused_and_the_connection_lives(channel: grpc.aio.Channel) -> None:
    call = unary(channel)(b"x" * 20_000_001)
    assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "maximum of 20000000" in str(await call.details())
    assert await unary(channel)(b"x") == b"x"


async def test_more_bytes_than_the_worker_may_hold_are_refused() -> None:
    async with (
        echo_server(max_bytes=1_000_000) as served,
        grpc.aio.insecure_channel(served.address) as channel,
    ):
        served.frontend.gate.clear()
        first = unary(channel)(b"x" * 900_000)
        await until(lambda: served.frontend.waiting == 1)
        second = unary(channel)(b"x" * 200_000)
        assert await second.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        served.frontend.gate.set()
        assert len(await first) == 900_000
        assert served.intake.bytes_held == 0


async def test_compressed_messages_are_unpacked(channel: grpc.aio.Channel, served: Served) -> None:
    for how in (grpc.Compression.Gzip, grpc.Compression.Deflate):
        assert await unary(channel)(b"zip" * 1000, compression=how) == b"zip" * 1000
    bomb = unary(channel)(b"\0" * 15_000_000, compression=grpc.Compression.Gzip)
    assert await bomb.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert served.intake.bytes_held == 0


async def test_streams_go_both_ways(channel: grpc.aio.Channel, served: Served) -> None:
    call = streaming(channel)
    assert dict(await call.initial_metadata()) == {"begun": "yes"}
    for size in (0, 10, 200_000, 3_000_000, 1):
        await call.write(b"x" * size)
        assert await call.read() == b"x" * size
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert dict(await call.trailing_metadata()) == {"count": "5"}
    assert served.intake.bytes_held == 0


async def test_a_client_that_does_not_read_stops_the_stream_and_nobody_else(
    channel: grpc.aio.Channel, served: Served
) -> None:
    written = 0
    async with raw_client(served.port) as peer:
        peer.say(frames.HEADERS, frames.END_HEADERS, 1, request_block(STREAMING))
        while written < 1_000_000:  # within the window that we were given; not one of our replies is credited
            peer.say(frames.DATA, 0, 1, message(b"x" * 10_000))
            written += 10_005
        await peer.writer.drain()
        assert await unary(channel)(b"others") == b"others"
        await until(lambda: served.intake.bytes_held > 500_000)
    await until(lambda: served.intake.bytes_held == 0)


async def test_a_client_that_gives_up_cancels_the_call(channel: grpc.aio.Channel, served: Served) -> None:
    served.frontend.gate.clear()
    call = unary(channel)(b"x")
    await until(lambda: served.frontend.waiting == 1)
    call.cancel()
    await until(lambda: served.frontend.cancelled == 1)
    stream = streaming(channel)
    await stream.write(b"x")
    await stream.initial_metadata()
    stream.cancel()
    await until(lambda: served.frontend.cancelled == 2)
    assert served.intake.bytes_held == 0
    await until(lambda: not served.listener.tasks)


async def test_a_bug_is_internal_and_tells_nothing(channel: grpc.aio.Channel, caplog: pytest.LogCaptureFixture) -> None:
    call = unary(channel)(b"bug")
    assert await call.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in str(await call.details())
    assert "ZeroDivisionError" in caplog.text


async def test_stopping_lets_calls_in_flight_finish() -> None:
    async with echo_server() as served, grpc.aio.insecure_channel(served.address) as channel:
        served.frontend.gate.clear()
        call = unary(channel)(b"last")
        await until(lambda: served.frontend.waiting == 1)
        stopping = asyncio.create_task(served.listener.stop(5))
        await until(lambda: not served.listener.accepting)
        served.frontend.gate.set()
        assert await call == b"last"
        await stopping
        assert not served.listener.connections


async def test_stopping_cuts_off_what_takes_too_long() -> None:
    async with echo_server() as served, grpc.aio.insecure_channel(served.address) as channel:
        served.frontend.gate.clear()
        call = unary(channel)(b"endless")
        await until(lambda: served.frontend.waiting == 1)
        await served.listener.stop(0.05)
        assert await call.code() is grpc.StatusCode.UNAVAILABLE
        assert (served.frontend.cancelled, served.intake.bytes_held) == (1, 0)


async def test_a_listener_that_never_started_closes_its_socket() -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    listener = GrpcListener(EchoFrontend(), sock, Current(serving(load(None))), Intake(1000))
    await listener.stop(1)
    assert sock.fileno() == -1


async def test_idle_connections_are_closed_and_told_so() -> None:
    async with echo_server("limits={idle_seconds: 0.05}") as served, raw_client(served.port) as peer:
        peer.request(1)
        await peer.reply()
        assert await peer.goodbye() == frames.NO_ERROR


async def test_a_client_that_never_says_hello_is_dropped() -> None:
    async with echo_server("limits={head_seconds: 0.05}") as served, raw_client(served.port, greet=False) as peer:
        assert await peer.goodbye() == -1


async def test_a_message_that_never_comes_runs_into_the_deadline() -> None:
    async with echo_server("limits={deadline_seconds: 0.05}") as served, raw_client(served.port) as peer:
        peer.say(frames.HEADERS, frames.END_HEADERS, 1, request_block())
        headers, _ = await peer.reply()
        assert headers[b"grpc-status"] == b"4"


async def test_a_client_that_never_reads_its_reply_is_dropped() -> None:
    async with (
        echo_server("limits={idle_seconds: 0.05}") as served,
        raw_client(served.port, greet=False) as peer,
    ):
        peer.writer.write(frames.PREFACE + frames.settings({frames.INITIAL_WINDOW_SIZE: 0}))
        peer.request(1)
        assert await peer.goodbye() == -1
        await until(lambda: not served.listener.connections)
