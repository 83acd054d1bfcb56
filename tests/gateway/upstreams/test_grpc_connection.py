import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.config import LimitsSection
from gateway.core.call import Call, Protocol, Reply
from gateway.core.errors import DeadlineExceeded, GatewayError, UpstreamBroken, UpstreamUnavailable
from gateway.upstreams.fake import FakeClient
from gateway.upstreams.grpc import GrpcUpstream
from gateway.wire.http2 import frames, grpc_fields
from gateway.wire.http2.sender import header_frames
from tests.gateway.conftest import MakeCall
from tests.gateway.grpc_peers import RawPeer, message, raw_server
from tests.gateway.wire.http2.ledger import Ledger, squeeze

ALL_END = frames.END_HEADERS | frames.END_STREAM


async def answered(peer: RawPeer, *said: tuple[int, int, int, bytes]) -> None:
    peer.say(frames.SETTINGS)
    await peer.until(frames.DATA)
    for frame in said:
        peer.say(*frame)
    await peer.reader.read()


@pytest.fixture
def call(make_call: MakeCall) -> Call:
    return make_call(protocol=Protocol.GRPC, body=b"question", seconds=5)


async def ask(talk: Callable[[RawPeer], Awaitable[None]], *calls: Call) -> list[object]:
    """What each of `calls` ends in, asked one after the other."""
    ends: list[object] = []
    async with raw_server(talk) as address:
        upstream = GrpcUpstream(address, LimitsSection())
        for call in calls:
            try:
                ends.append(await upstream.infer(call))
            except GatewayError as error:
                ends.append(error)
        await upstream.aclose()
    return ends


BEGINS = (frames.HEADERS, frames.END_HEADERS, 1, grpc_fields.RESPONSE_HEADERS)
ENDS = (frames.HEADERS, ALL_END, 1, grpc_fields.trailers(0, "", ()))


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ([(frames.RST_STREAM, 0, 1, b"\0\0\0\x07")], UpstreamUnavailable),
        ([(frames.RST_STREAM, 0, 1, b"\0\0\0\x02")], UpstreamBroken),
        ([(frames.GOAWAY, 0, 0, b"\0\0\0\0\0\0\0\0")], UpstreamUnavailable),
        ([(frames.DATA, 0, 9, b"x")], UpstreamBroken),
        ([(frames.PUSH_PROMISE, 0, 1, b"\0\0\0\x02")], UpstreamBroken),
        ([BEGINS, (frames.DATA, 1, 1, message(b"x"))], UpstreamBroken),
        ([BEGINS, ENDS], UpstreamBroken),
        ([BEGINS, (frames.DATA, 0, 1, message(b"abc")[:6]), ENDS], UpstreamBroken),
        ([BEGINS, (frames.DATA, 0, 1, message(b"a") + message(b"b")), ENDS], UpstreamBroken),
        ([BEGINS, (frames.DATA, 0, 1, message(b"a", compressed=1)), ENDS], UpstreamBroken),
        ([BEGINS, BEGINS], UpstreamBroken),
        ([(frames.HEADERS, ALL_END, 1, grpc_fields.RESPONSE_HEADERS)], UpstreamBroken),
        ([(frames.HEADERS, ALL_END, 1, b"\xff\xff\xff\xff\xff")], UpstreamBroken),
    ],
)
async def test_what_is_no_answer_is_an_error_without_addresses(
    said: list[tuple[int, int, int, bytes]], error: type[GatewayError], call: Call
) -> None:
    [end] = await ask(lambda peer: answered(peer, *said), call)
    assert type(end) is error
    assert "127.0.0.1" not in end.message


async def test_a_long_error_is_an_answer(call: Call) -> None:
    words = "x" * 3900

    async def talk(peer: RawPeer) -> None:
        more = tuple([(b"k%d" % number, b"v" * 10_000) for number in range(9)])
        block = grpc_fields.RESPONSE_HEADERS + grpc_fields.trailers(13, words, more)
        peer.say(frames.SETTINGS)
        await peer.until(frames.DATA)
        peer.writer.write(header_frames(1, block, end_stream=True))
        await peer.reader.read()

    [reply] = await ask(talk, call)
    assert reply.message == words  # type: ignore[attr-defined]


async def test_answers_of_other_shapes_are_understood(call: Call) -> None:
    async def talk(peer: RawPeer) -> None:
        await answered(
            peer,
            (frames.HEADERS, frames.END_HEADERS, 1, grpc_fields.http_refusal(103)),
            BEGINS,
            (frames.DATA, frames.PADDED, 1, b"\x01" + message(b"ok") + b"\0"),
            ENDS,
        )

    [reply] = await ask(talk, call)
    assert reply.body == b"ok"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("http", "status"), [(503, 14), (404, 12), (418, 2)])
async def test_an_http_status_becomes_a_grpc_status(call: Call, http: int, status: int) -> None:
    refusal = (frames.HEADERS, ALL_END, 1, grpc_fields.http_refusal(http))
    [reply] = await ask(lambda peer: answered(peer, refusal), call)
    assert reply.status == status  # type: ignore[attr-defined]
    assert str(http) in reply.message  # type: ignore[attr-defined]


async def test_a_connection_that_breaks_under_a_call_is_broken(call: Call) -> None:
    async def greet_and_leave(peer: RawPeer) -> None:
        peer.say(frames.SETTINGS)
        await peer.until(frames.DATA)

    [error] = await ask(greet_and_leave, call)
    assert isinstance(error, UpstreamBroken)
    assert "may have been executed" in error.message


@pytest.mark.parametrize("seed", range(3))
async def test_requests_stay_within_windows_that_change_all_the_time(make_call: MakeCall, seed: int) -> None:
    ledger = Ledger()
    bodies = [bytes((number,)) * 9_000 for number in range(8)]

    async def talk(peer: RawPeer) -> None:
        peer.say(*ledger.settings({frames.INITIAL_WINDOW_SIZE: 0}))
        await squeeze(peer, ledger, len(bodies), seed)
        for stream_id in sorted(ledger.ended):
            peer.answer(stream_id)
        await peer.reader.read()

    async with raw_server(talk) as address:
        upstream = GrpcUpstream(address, LimitsSection())
        calls = [make_call(protocol=Protocol.GRPC, body=body) for body in bodies]
        replies = await asyncio.gather(*[upstream.infer(call) for call in calls])
        await upstream.aclose()
    assert [reply.body for reply in replies] == [b"answer"] * len(bodies)
    assert sorted(ledger.data.values()) == [message(body) for body in bodies]


async def test_calls_that_a_leaving_triton_has_taken_are_finished(call: Call) -> None:
    connections = 0

    async def leave(peer: RawPeer) -> None:
        nonlocal connections
        connections += 1
        peer.say(frames.SETTINGS)
        await peer.until(frames.DATA)
        peer.say(frames.GOAWAY, 0, 0, b"\0\0\0\x01\0\0\0\0")
        peer.answer(1, b"%d" % connections)
        await peer.reader.read()

    replies = await ask(leave, call, call)
    assert [reply.body for reply in replies] == [b"1", b"2"]  # type: ignore[attr-defined]


async def test_a_triton_that_says_nothing_runs_into_the_deadline_and_is_left(make_call: MakeCall) -> None:
    connections: list[RawPeer] = []

    async def silent_once(peer: RawPeer) -> None:
        connections.append(peer)
        peer.say(frames.SETTINGS)
        await peer.until(frames.DATA)
        if len(connections) > 1:
            peer.answer(1)
        await peer.reader.read()

    calls = [make_call(protocol=Protocol.GRPC, seconds=seconds) for seconds in (0.1, 5)]
    error, reply = await ask(silent_once, *calls)
    assert isinstance(error, DeadlineExceeded)
    assert reply.body == b"answer"  # type: ignore[attr-defined]
    assert len(connections) == 2


async def test_each_request_keeps_its_own_deadline(make_call: MakeCall) -> None:
    async def silent(peer: RawPeer) -> None:
        await answered(peer)

    async with raw_server(silent) as address:
        upstream = GrpcUpstream(address, LimitsSection())
        clock = asyncio.get_running_loop().time
        began, ended = clock(), {}

        async def late(seconds: float) -> None:
            with pytest.raises(DeadlineExceeded):
                await upstream.infer(make_call(protocol=Protocol.GRPC, seconds=seconds))
            ended[seconds] = clock() - began

        await asyncio.gather(late(0.3), late(0.1), late(0.2), late(0))
        assert all(ended[seconds] >= seconds - 0.01 for seconds in ended)
        assert sorted(ended, key=lambda seconds: ended[seconds]) == [0, 0.1, 0.2, 0.3]
        await upstream.aclose()


@pytest.fixture
async def headers(call: Call) -> list[bytes]:
    """The header blocks of three requests to a Triton that remembers nothing."""
    blocks: list[bytes] = []

    async def forgetful(peer: RawPeer) -> None:
        peer.writer.write(frames.settings({frames.HEADER_TABLE_SIZE: 0}))
        for stream_id in (1, 3, 5):
            blocks.append((await peer.until(frames.HEADERS))[3])
            await peer.until(frames.DATA)
            peer.answer(stream_id)
        await peer.reader.read()

    assert len(await ask(forgetful, call, call, call)) == 3
    return blocks


async def test_a_triton_that_remembers_no_headers_hears_them_each_time(headers: list[bytes]) -> None:
    assert headers[0][0] == 0x20
    assert all(b"ModelInfer" in block for block in headers)


random_frames = st.tuples(
    st.integers(0, 10),
    st.sampled_from([0, 1, 4, 5, 8, 0x20, 0x2D]),
    st.sampled_from([0, 1, 1, 1, 3, 2]),
    st.one_of(
        st.sampled_from(
            [
                b"",
                grpc_fields.RESPONSE_HEADERS,
                grpc_fields.trailers(0, "", ()),
                grpc_fields.trailers(5, "no", ()),
                message(b"answer"),
                message(b"answer")[:7],
                b"\0\0\0\x07",
                b"\0\0\0\0\0\0\0\0",
            ]
        ),
        st.binary(max_size=30),
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(random_frames, max_size=8), st.booleans())
def test_whatever_comes_a_call_ends_in_a_reply_or_an_error(
    make_call: MakeCall,
    caplog: pytest.LogCaptureFixture,
    said: list[tuple[int, int, int, bytes]],
    streaming: bool,
) -> None:
    async def talk(peer: RawPeer) -> None:
        peer.say(frames.SETTINGS)
        await peer.until(frames.DATA)
        for frame in said:
            peer.say(*frame)

    async def main() -> None:
        async with raw_server(talk) as address:
            upstream = GrpcUpstream(address, LimitsSection())
            call = make_call(protocol=Protocol.GRPC, body=b"question", seconds=5)
            try:
                reply = await (upstream.stream(call, FakeClient(b"more")) if streaming else upstream.infer(call))
            except GatewayError as error:
                reply = Reply(14, message=error.message)
            assert reply.status == 0 or "127.0.0.1" not in reply.message
            await upstream.aclose()

    with asyncio.Runner() as runner:
        runner.run(asyncio.wait_for(main(), 4))
    assert not caplog.records
