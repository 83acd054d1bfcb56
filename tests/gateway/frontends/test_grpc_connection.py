import asyncio
import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.wire.http2 import frames
from gateway.wire.http2.hpack import literal
from tests.gateway.frontends.http_rig import BOTH_LOOPS
from tests.gateway.grpc_peers import STREAMING, UNARY, Frame, echo_server, message, raw_client, request_block
from tests.gateway.wire.http2.ledger import Ledger, squeeze

LOOPS = BOTH_LOOPS

HEADERS_END = frames.END_HEADERS
ALL_END = frames.END_HEADERS | frames.END_STREAM


async def test_a_unary_reply_is_three_frames() -> None:
    async with echo_server() as served, raw_client(served.port) as peer:
        peer.request(1, b"hi")
        frame = await peer.until(frames.HEADERS)
        assert frame[1] == HEADERS_END
        assert await peer.hear() == (frames.DATA, 0, 1, message(b"hi"))
        assert (await peer.hear())[:3] == (frames.HEADERS, ALL_END, 1)


async def test_trailers_padding_and_continuations_of_the_client_are_understood() -> None:
    async with echo_server() as served, raw_client(served.port) as peer:
        block = request_block()
        peer.say(frames.HEADERS, frames.PADDED | frames.PRIORITIZED, 1, b"\x0212345" + block[:20] + b"\0\0")
        peer.say(frames.CONTINUATION, HEADERS_END, 1, block[20:])
        peer.say(frames.DATA, frames.PADDED, 1, b"\x01" + message(b"hi") + b"\0")
        peer.say(frames.HEADERS, ALL_END, 1, literal(b"a", b"b"))
        headers, data = await peer.reply()
        assert (headers[b"grpc-status"], data) == (b"0", message(b"hi"))


@pytest.mark.parametrize(
    ("talk", "status"),
    [
        ([(frames.HEADERS, ALL_END, 1, request_block())], b"13"),
        ([(frames.HEADERS, 4, 1, request_block()), (frames.DATA, 1, 1, message(b"abc")[:6])], b"13"),
        ([(frames.HEADERS, 4, 1, request_block()), (frames.DATA, 1, 1, b"\0\0")], b"13"),
        ([(frames.HEADERS, 4, 1, request_block()), (frames.DATA, 1, 1, message(b"a") + message(b"b"))], b"13"),
        ([(frames.HEADERS, 4, 1, request_block()), (frames.DATA, 1, 1, message(b"a", compressed=1))], b"13"),
        ([(frames.HEADERS, 4, 1, request_block(STREAMING)), (frames.DATA, 1, 1, b"\0\0")], b"13"),
        ([(frames.HEADERS, 4, 1, request_block(UNARY, (b"grpc-encoding", b"br")))], b"12"),
        ([(frames.HEADERS, 4, 1, request_block(UNARY, (b"grpc-timeout", b"5x")))], b"13"),
        ([(frames.HEADERS, 4, 1, request_block("/no/Such"))], b"12"),
    ],
)
async def test_calls_that_are_refused_get_a_status(talk: list[Frame], status: bytes) -> None:
    async with echo_server() as served, raw_client(served.port) as peer:
        for frame in talk:
            peer.say(*frame)
        headers, _ = await peer.reply()
        assert (headers[b":status"], headers[b"grpc-status"]) == (b"200", status)
        assert len(headers[b"x-request-id"]) == 16
        peer.request(3)
        headers, data = await peer.reply()
        assert (headers[b"grpc-status"], data) == (b"0", message(b"hello"))
        assert served.intake.bytes_held == 0


async def test_what_is_not_grpc_is_refused_in_http() -> None:
    async with echo_server() as served, raw_client(served.port) as peer:
        peer.say(frames.HEADERS, ALL_END, 1, request_block(content_type=b"application/json"))
        assert (await peer.reply())[0] == {b":status": b"415"}
        get = b"\x82\x86" + request_block()[2:]
        peer.say(frames.HEADERS, ALL_END, 3, get)
        assert (await peer.reply())[0] == {b":status": b"405"}


@pytest.mark.parametrize(
    ("talk", "code"),
    [
        ([(frames.HEADERS, ALL_END, 1, b"\x83\x86" + literal(b"te", b"trailers"))], frames.PROTOCOL_ERROR),
        ([(frames.HEADERS, ALL_END, 1, literal(b"te", b"trailers"))], frames.PROTOCOL_ERROR),
        ([(frames.HEADERS, 4, 1, request_block()), (frames.HEADERS, 4, 1, b"")], frames.PROTOCOL_ERROR),
        ([(frames.HEADERS, 4, 1, request_block()), (frames.HEADERS, 5, 1, request_block())], frames.PROTOCOL_ERROR),
        (
            [(frames.HEADERS, 5, 1, request_block(UNARY, *[(b"k%d" % n, b"v" * 6000) for n in range(2)]))],
            frames.ENHANCE_YOUR_CALM,
        ),
    ],
)
async def test_streams_against_the_rules_are_reset(talk: list[Frame], code: int) -> None:
    async with echo_server("limits={max_header_bytes: 12100}") as served, raw_client(served.port) as peer:
        for frame in talk:
            peer.say(*frame)
        assert (await peer.until(frames.RST_STREAM))[3][-1] == code
        peer.request(3)
        assert (await peer.reply())[1] == message(b"hello")


@pytest.mark.parametrize(
    ("talk", "code"),
    [
        ([(frames.HEADERS, ALL_END, 2, request_block())], frames.PROTOCOL_ERROR),
        ([(frames.HEADERS, ALL_END, 1, b"\xff\xff\xff\xff\xff\xff")], frames.COMPRESSION_ERROR),
        ([(frames.HEADERS, ALL_END, 1, request_block(UNARY, (b"Capital", b"x")))], frames.PROTOCOL_ERROR),
        ([(frames.DATA, 0, 1, b"x")], frames.PROTOCOL_ERROR),
        ([(frames.RST_STREAM, 0, 1, b"1234")], frames.PROTOCOL_ERROR),
        ([(frames.PING, 0, 0, b"1")], frames.FRAME_SIZE_ERROR),
    ],
)
async def test_connections_against_the_rules_are_closed(talk: list[Frame], code: int) -> None:
    async with echo_server() as served, raw_client(served.port) as peer:
        for frame in talk:
            peer.say(*frame)
        assert await peer.goodbye() == code


@pytest.mark.parametrize("hello", [b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nXX", b"\x16\x03\x01"])
async def test_other_protocols_are_sent_away(hello: bytes) -> None:
    async with echo_server() as served, raw_client(served.port, greet=False) as peer:
        peer.writer.write(hello)
        assert await peer.goodbye() == frames.PROTOCOL_ERROR


async def test_a_greeting_in_pieces_is_a_greeting() -> None:
    async with echo_server() as served, raw_client(served.port, greet=False) as peer:
        for byte in frames.PREFACE + frames.settings({}):
            peer.writer.write(bytes((byte,)))
            await peer.writer.drain()
        peer.request(1)
        assert (await peer.reply())[1] == message(b"hello")


async def test_rapid_resets_end_the_connection() -> None:
    async with echo_server() as served, raw_client(served.port) as peer:
        for stream_id in range(1, 2001, 2):
            peer.request(stream_id)
            peer.say(frames.RST_STREAM, 0, stream_id, b"\0\0\0\x08")
        assert await peer.goodbye() == frames.ENHANCE_YOUR_CALM
    assert served.intake.bytes_held == 0


async def test_more_streams_than_allowed_are_refused() -> None:
    async with echo_server() as served, raw_client(served.port) as peer:
        block = request_block()
        for stream_id in range(1, 2003, 2):
            peer.say(frames.HEADERS, HEADERS_END, stream_id, block)
        assert await peer.until(frames.RST_STREAM) == (frames.RST_STREAM, 0, 2001, b"\0\0\0\x07")


async def test_an_early_refusal_tolerates_what_is_still_on_its_way() -> None:
    async with echo_server() as served, raw_client(served.port) as peer:
        peer.say(frames.HEADERS, HEADERS_END, 1, request_block("/no/Such"))
        await peer.reply()
        peer.say(frames.DATA, 0, 1, message(b"x" * 1000))
        peer.say(frames.HEADERS, ALL_END, 1, literal(b"a", b"b"))
        peer.request(3)
        assert (await peer.reply())[1] == message(b"hello")


async def test_a_reply_waits_for_the_clients_window() -> None:
    async with echo_server() as served, raw_client(served.port, greet=False) as peer:
        peer.writer.write(frames.PREFACE + frames.settings({frames.INITIAL_WINDOW_SIZE: 0}))
        peer.request(1, b"hi")
        await peer.until(frames.HEADERS)
        peer.say(frames.PING, 0, 0, b"12345678")
        assert (await peer.hear())[0] == frames.PING  # and no DATA before it
        peer.say(frames.WINDOW_UPDATE, 0, 1, b"\0\0\0\x06")
        assert await peer.hear() == (frames.DATA, 0, 1, message(b"hi")[:6])
        peer.say(frames.WINDOW_UPDATE, 0, 1, b"\0\0\0\x64")
        assert await peer.hear() == (frames.DATA, 0, 1, message(b"hi")[6:])
        assert (await peer.hear())[:2] == (frames.HEADERS, ALL_END)


@pytest.mark.parametrize("seed", range(3))
async def test_replies_stay_within_windows_that_change_all_the_time(seed: int) -> None:
    async with echo_server() as served, raw_client(served.port) as peer:
        await peer.until(frames.SETTINGS, flags=frames.ACK)
        ledger, streams = Ledger(), range(1, 17, 2)
        peer.say(*ledger.settings({frames.INITIAL_WINDOW_SIZE: 0}))
        for stream_id in streams:
            peer.request(stream_id, bytes((stream_id,)) * 9_000)
        await squeeze(peer, ledger, len(streams), seed)
        assert ledger.data == {stream_id: message(bytes((stream_id,)) * 9_000) for stream_id in streams}


async def test_a_leaving_server_says_goodbye_twice_and_serves_what_crossed_it() -> None:
    async with echo_server() as served, raw_client(served.port) as peer:
        peer.request(1)
        await peer.reply()
        [connection] = served.listener.connections
        connection.drain()
        assert frames.read_goaway((await peer.until(frames.GOAWAY))[3]) == (frames.MAX_WINDOW, frames.NO_ERROR)
        peer.request(3)
        _, _, _, ping = await peer.until(frames.PING)
        peer.say(frames.PING, frames.ACK, 0, ping)
        peer.request(5)
        assert frames.read_goaway((await peer.until(frames.GOAWAY))[3]) == (3, frames.NO_ERROR)
        assert (await peer.until(frames.RST_STREAM))[2:] == (5, b"\0\0\0\x07")
        assert (await peer.reply())[1] == message(b"hello")
        assert await peer.goodbye() == -1


payloads = st.one_of(
    st.sampled_from(
        [
            b"",
            request_block(),
            request_block(STREAMING),
            request_block("/no/Such"),
            message(b"hello"),
            message(b"refuse"),
            message(b"hello")[:7],
            b"lo",
            message(b"zip", compressed=1),
            b"\0\0\0\x08",
            b"\0\0\x10\0",
            b"12345678",
            frames.settings({frames.INITIAL_WINDOW_SIZE: 3})[9:],
        ]
    ),
    st.binary(max_size=30),
)
random_frames = st.tuples(
    st.integers(0, 10), st.sampled_from([0, 1, 4, 5, 8, 0x20, 0x2D]), st.sampled_from([0, 1, 1, 3, 3, 5, 2]), payloads
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(random_frames, max_size=12))
def test_no_sequence_of_frames_breaks_the_server_or_leaves_anything(
    caplog: pytest.LogCaptureFixture, talk: list[Frame]
) -> None:
    async def main() -> None:
        async with echo_server() as served:
            async with raw_client(served.port) as peer:
                for frame in talk:
                    peer.say(*frame)
                peer.say(frames.PING, 0, 0, b"the last")
                with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                    while (await peer.hear())[3] != b"the last":
                        pass
            async with raw_client(served.port) as peer:
                peer.request(1)
                assert (await peer.reply())[1] == message(b"hello")
            await served.listener.stop(0)
            assert (served.intake.bytes_held, served.listener.tasks) == (0, set())

    with asyncio.Runner() as runner:
        runner.run(asyncio.wait_for(main(), 10))
    assert not caplog.records
