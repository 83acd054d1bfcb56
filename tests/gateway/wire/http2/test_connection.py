import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.http2 import frames
from gateway.wire.http2.connection import opening
from gateway.wire.http2.frames import Http2Error
from gateway.wire.http2.stream import WINDOW
from tests.gateway.grpc_peers import message
from tests.gateway.wire.http2.recorder import RecordedConnection

TALK = b"".join(
    [
        frames.settings({frames.INITIAL_WINDOW_SIZE: 100}),
        frames.frame(frames.HEADERS, 0, 1, b"a"),
        frames.frame(frames.CONTINUATION, 0, 1, b"b"),
        frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1, b"c"),
        frames.frame(frames.DATA, 0, 1, message(b"hello")[:7]),
        frames.frame(frames.PING, 0, 0, b"12345678"),
        frames.frame(frames.DATA, frames.PADDED, 1, b"\x03" + message(b"hello")[7:] + b"\0\0\0"),
        frames.frame(frames.DATA, frames.PADDED, 1, b"\x02\0\0"),
        frames.frame(frames.DATA, 0, 1, message(b"x" * 3000) + message(b"")),
        frames.frame(frames.DATA, 0, 1, b""),
        frames.frame(0x55, 0, 1, b"unknown"),
        frames.frame(frames.DATA, frames.END_STREAM, 1, message(b"bye")),
        frames.frame(frames.HEADERS, frames.END_HEADERS | frames.PADDED, 3, b"\x01d\0"),
    ]
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, len(TALK)), max_size=40))
def test_the_same_is_heard_however_the_bytes_are_cut(places: list[int]) -> None:
    connection = RecordedConnection()
    stream = connection.open(1)
    edges = sorted({0, len(TALK), *places})
    for start, end in itertools.pairwise(edges):
        connection.receive(memoryview(TALK)[start:end])
    assert connection.events == ["settled", (1, b"abc", False), (3, b"d", False)]
    assert stream.events == [b"hello", b"x" * 3000, b"", b"bye", "end"]
    assert [frame[0] for frame in connection.said()] == [frames.SETTINGS, frames.PING]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80), st.lists(st.integers(0, 80), max_size=5))
def test_garbage_is_an_error_or_nothing(data: bytes, places: list[int]) -> None:
    connection = RecordedConnection()
    connection.open(1)
    edges = sorted({0, len(data), *[min(place, len(data)) for place in places]})
    heard = 0
    try:
        for start, end in itertools.pairwise(edges):
            connection.receive(memoryview(data)[start:end])
            heard = end
    except Http2Error as error:
        heard = error.code
    assert heard <= len(data) or heard < 14


def test_each_side_introduces_itself() -> None:
    server, client = opening(4096, 1000), opening(4096, None)
    assert dict(frames.read_settings(server[9:33]))[frames.MAX_CONCURRENT_STREAMS] == 1000
    assert dict(frames.read_settings(client[9:33]))[frames.ENABLE_PUSH] == 0
    assert server.endswith(frames.window_update(0, frames.MAX_WINDOW - frames.DEFAULT_WINDOW))


def test_a_long_message_gets_the_room_it_needs_at_once() -> None:
    connection = RecordedConnection()
    stream = connection.open(1)
    content = b"x" * (3 * WINDOW)
    data = message(content)
    connection.hear(frames.DATA, 0, 1, data[:16_000])
    [(kind, _, number, increment)] = connection.said()
    assert (kind, number) == (frames.WINDOW_UPDATE, 1)
    assert WINDOW - 16_000 + int.from_bytes(increment, "big") >= len(data) - 16_000
    for start in range(16_000, len(data), 16_000):
        connection.hear(frames.DATA, 0, 1, data[start : start + 16_000])
    assert stream.events == [content]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([1, 3]), st.integers(1, 16_384)), min_size=40, max_size=120),
    st.lists(st.integers(0, 2**20), max_size=20),
)
def test_long_messages_are_whole_however_they_are_framed_and_cut(
    parts: list[tuple[int, int]], places: list[int]
) -> None:
    connection = RecordedConnection()
    streams = {number: connection.open(number) for number in (1, 3)}
    contents = {number: random.Random(number).randbytes(300_000) for number in streams}  # noqa: S311 - not for secrets
    rest = {number: message(content) * 2 for number, content in contents.items()}
    talk = b""
    for number, size in [*parts, *[(number, 16_384) for number in (1, 3) for _ in range(40)]]:
        part, rest[number] = rest[number][:size], rest[number][size:]
        if part:
            talk += frames.frame(frames.DATA, 0 if rest[number] else frames.END_STREAM, number, part)
    edges = sorted({0, len(talk), *[place % len(talk) for place in places]})
    for start, end in itertools.pairwise(edges):
        connection.receive(memoryview(talk)[start:end])
    for number, stream in streams.items():
        assert stream.events == [contents[number], contents[number], "end"]
        assert stream.reserved == 600_000
    granted = [int.from_bytes(payload, "big") for _, _, number, payload in connection.said() if number == 1]
    assert streams[1].receive_window == WINDOW - 600_010 + sum(granted)


@pytest.mark.parametrize("size", [6_000, 16_384])
def test_a_long_message_may_not_exceed_its_window(size: int) -> None:
    connection = RecordedConnection()
    stream = connection.open(1)
    stream.held = WINDOW  # of messages that nobody takes, so that there is no credit
    data = (message(bytes(2 * WINDOW)))[: WINDOW + size]
    for start in range(0, len(data), size):
        connection.hear(frames.DATA, 0, 1, data[start : start + size])
    assert stream.events == [("reset", frames.FLOW_CONTROL_ERROR)]


def test_data_in_the_middle_of_headers_is_an_error_in_a_long_message_too() -> None:
    connection = RecordedConnection()
    connection.open(1)
    connection.hear(frames.DATA, 0, 1, message(bytes(100_000))[:10_000])
    connection.hear(frames.HEADERS, 0, 3, b"a")
    with pytest.raises(Http2Error):
        connection.hear(frames.DATA, 0, 1, bytes(10_000))


def test_small_messages_need_no_window_updates_until_half_is_used() -> None:
    connection = RecordedConnection()
    connection.open(1)
    for _ in range(WINDOW // 2 // 16_005):
        connection.hear(frames.DATA, 0, 1, message(b"x" * 16_000))
    assert connection.said() == []
    connection.hear(frames.DATA, 0, 1, message(b"x" * 16_000))
    assert [frame[:3] for frame in connection.said()] == [(frames.WINDOW_UPDATE, 0, 1)]


def test_what_nobody_takes_is_not_followed_by_more() -> None:
    connection = RecordedConnection()
    stream = connection.open(1)
    stream.held = WINDOW
    for _ in range(WINDOW // 16_005):
        connection.hear(frames.DATA, 0, 1, message(b"x" * 16_000))
    assert connection.said() == []
    connection.hear(frames.DATA, 0, 1, b"x" * 16_384)
    assert stream.events[-1] == ("reset", frames.FLOW_CONTROL_ERROR)


def test_data_after_the_end_ends_the_stream() -> None:
    connection = RecordedConnection()
    stream = connection.open(1)
    connection.hear(frames.DATA, frames.END_STREAM, 1, message(b"a"))
    connection.hear(frames.DATA, 0, 1, message(b"b"))
    assert stream.events == [b"a", "end", ("reset", frames.STREAM_CLOSED)]


def test_a_message_that_is_refused_ends_its_stream_only() -> None:
    connection = RecordedConnection()
    stream = connection.open(1)
    stream.max_message = 3
    connection.hear(frames.DATA, 0, 1, message(b"abcd"))
    connection.hear(frames.PING, payload=b"12345678")
    assert "the message of 4 bytes exceeds the maximum of 3 bytes; send less at a time" in str(connection.events[0])
    assert connection.said()[-1][0] == frames.PING


def test_the_connections_window_is_filled_up_again() -> None:
    connection = RecordedConnection()
    connection.open(1)
    connection.drop(connection.streams[1], 0)
    piece = memoryview(frames.frame(frames.DATA, 0, 1, b"x" * 2**20))
    for _ in range(1025):
        connection.receive(piece)
    assert [frame[:3] for frame in connection.said()] == [(frames.WINDOW_UPDATE, 0, 0)]


@pytest.mark.parametrize(
    ("talk", "code"),
    [
        ([(frames.HEADERS, 0, 3, b"a"), (frames.PING, 0, 0, b"12345678")], frames.PROTOCOL_ERROR),
        ([(frames.HEADERS, 0, 3, b"a"), (frames.DATA, 0, 1, b"")], frames.PROTOCOL_ERROR),
        ([(frames.HEADERS, 0, 3, b"a"), (frames.CONTINUATION, 4, 5, b"")], frames.PROTOCOL_ERROR),
        ([(frames.CONTINUATION, 4, 1, b"")], frames.PROTOCOL_ERROR),
        ([(frames.HEADERS, 4, 0, b"")], frames.PROTOCOL_ERROR),
        ([(frames.DATA, 0, 0, b"")], frames.PROTOCOL_ERROR),
        ([(frames.DATA, 0, 5, b"")], frames.PROTOCOL_ERROR),
        ([(frames.DATA, frames.PADDED, 1, b"\x09abc")], frames.PROTOCOL_ERROR),
        ([(frames.HEADERS, 0, 3, b"a"), *[(frames.CONTINUATION, 0, 3, b"")] * 65], frames.ENHANCE_YOUR_CALM),
        ([(frames.HEADERS, 0, 3, b"a" * 4000), (frames.CONTINUATION, 0, 3, b"a" * 100)], frames.ENHANCE_YOUR_CALM),
        ([(frames.HEADERS, 4, 3, b"a" * 16_385)], frames.ENHANCE_YOUR_CALM),
        ([(frames.DATA, 0, 1, b"a" * (2**20 + 1))], frames.FRAME_SIZE_ERROR),
        ([(frames.PING, 0, 0, b"12345678")] * 20_000, frames.ENHANCE_YOUR_CALM),
        ([(frames.DATA, 0, 1, b"")] * 20_000, frames.ENHANCE_YOUR_CALM),
        ([(frames.SETTINGS, 0, 0, b"")] * 20_000, frames.ENHANCE_YOUR_CALM),
    ],
)
def test_what_breaks_the_connection(talk: list[tuple[int, int, int, bytes]], code: int) -> None:
    connection = RecordedConnection()
    connection.open(1)
    data = b"".join([frames.frame(*frame) for frame in talk])
    with pytest.raises(Http2Error) as caught:
        connection.receive(memoryview(data))
    assert caught.value.code == code
