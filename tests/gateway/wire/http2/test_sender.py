from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.http2 import frames
from gateway.wire.http2.frames import Http2Error, StreamError
from gateway.wire.http2.sender import header_frames
from tests.gateway.grpc_peers import message
from tests.gateway.wire.http2.ledger import Ledger
from tests.gateway.wire.http2.recorder import RecordedConnection

BEFORE = frames.frame(frames.HEADERS, frames.END_HEADERS, 1, b"head")
AFTER = frames.frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, 1, b"tail")


def data(said: list[tuple[int, int, int, bytes]], stream_id: int) -> bytes:
    return b"".join([payload for kind, _, number, payload in said if kind == frames.DATA and number == stream_id])


@pytest.mark.parametrize("size", [0, 3, 10_000])
def test_a_small_reply_is_three_frames(size: int) -> None:
    connection = RecordedConnection()
    assert connection.send(connection.open(1), BEFORE, b"x" * size, AFTER)
    said = connection.said()
    assert [frame[0] for frame in said] == [frames.HEADERS, frames.DATA, frames.HEADERS]
    assert data(said, 1) == message(b"x" * size)


def test_a_request_ends_with_its_message() -> None:
    connection = RecordedConnection()
    connection.send(connection.open(1), BEFORE, b"abc", end=True)
    connection.send(connection.open(3, 200_000), BEFORE, b"y" * 40_000, end=True)
    said = connection.said()
    assert [flags for kind, flags, _, _ in said if kind == frames.DATA] == [1, 0, 0, 1]


def test_a_long_reply_waits_for_the_peers_windows() -> None:
    connection = RecordedConnection()
    stream = connection.open(1, 100_000)
    content = bytes(range(256)) * 1000
    assert not connection.send(stream, BEFORE, content, AFTER)
    assert connection.congested or stream.outgoing
    said = connection.said()
    assert len(data(said, 1)) == frames.DEFAULT_WINDOW
    assert max(len(frame[3]) for frame in said) == frames.DEFAULT_FRAME_SIZE
    connection.grant(None, 10**6)
    said += connection.said()
    assert len(data(said, 1)) == 100_000
    connection.grant(stream, 10**6)
    said += connection.said()
    assert data(said, 1) == message(content)
    assert said[-1][3] == b"tail"
    assert stream.events == ["sent"]
    assert not connection.congested


def test_streams_take_turns() -> None:
    connection = RecordedConnection()
    streams = [connection.open(number, 10**6) for number in (1, 3)]
    for stream in streams:
        connection.send(stream, b"", b"x" * 200_000)
    connection.said()
    connection.grant(None, 200_000)
    turns = [frame[2] for frame in connection.said()]
    assert abs(turns.count(1) - turns.count(3)) <= 1


def test_nothing_is_given_to_a_socket_that_is_full() -> None:
    connection = RecordedConnection()
    connection.grant(None, 10**6)
    stream = connection.open(1, 10**6)
    connection.paused = True
    assert not connection.send(stream, b"", b"abc")
    assert connection.said() == []
    connection.paused = False
    connection.pump()
    assert data(connection.said(), 1) == message(b"abc")


def test_a_stream_that_is_forgotten_says_nothing_more() -> None:
    connection = RecordedConnection()
    stream = connection.open(1, 10**6)
    connection.send(stream, b"", b"x" * 100_000)
    connection.said()
    connection.forget(stream)
    connection.grant(None, 10**6)
    assert connection.said() == []


def test_smaller_windows_hold_for_streams_that_are_open() -> None:
    connection = RecordedConnection()
    stream = connection.open(1)
    connection.change_window([stream], 10)
    assert not connection.send(stream, b"", b"x" * 100)
    assert len(data(connection.said(), 1)) == 10
    connection.change_window([stream], 0)
    connection.grant(stream, 9)
    assert connection.said() == []
    connection.change_window([stream], 105)
    connection.pump()
    assert len(data(connection.said(), 1)) == 95 + 9 - 9


def test_a_window_that_shrinks_below_zero_while_its_stream_waits_in_line() -> None:
    connection = RecordedConnection()
    stream = connection.open(1, 200_000)
    connection.send(stream, b"", b"x" * 150_000)
    connection.said()
    connection.change_window([stream], 0)
    connection.grant(None, 10**6)
    sent = len(data(connection.said(), 1))
    connection.grant(stream, 10**6)
    assert sent + len(data(connection.said(), 1)) + frames.DEFAULT_WINDOW == 150_005


def test_windows_that_overflow_or_do_not_grow_are_errors() -> None:
    connection = RecordedConnection()
    stream = connection.open(1)
    with pytest.raises(StreamError):
        connection.grant(stream, 0)
    with pytest.raises(StreamError):
        connection.grant(stream, 2**31 - 1)
    with pytest.raises(Http2Error):
        connection.grant(None, 2**31 - 1)


def test_long_headers_are_continued() -> None:
    out = header_frames(1, b"x" * 40_000, end_stream=True)
    connection = RecordedConnection(max_header_bytes=50_000)
    connection.receive(memoryview(out))
    assert connection.events == [(1, b"x" * 40_000, True)]


_SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        frames.INITIAL_WINDOW_SIZE: st.sampled_from([0, 1, 5, 80, 70_000]),
        frames.MAX_FRAME_SIZE: st.sampled_from([16_384, 20_000, 2**24 - 1]),
    },
)
_STREAM = st.sampled_from([1, 3, 5, 7])


class Talk:
    """A connection with four streams, and a peer who keeps books."""

    def __init__(self) -> None:
        self.connection, self.ledger = RecordedConnection(), Ledger()
        self.sent = dict.fromkeys((1, 3, 5, 7), b"")
        for number in self.sent:
            self.connection.open(number)

    def settings(self, values: dict[int, int]) -> None:
        self.connection.hear(*self.ledger.settings(values))

    def grant(self, stream_id: int, increment: int) -> None:
        self.connection.hear(*self.ledger.grant(stream_id, increment))

    def send(self, stream_id: int, size: int) -> None:
        content = bytes((len(self.sent[stream_id]) % 251,)) * size
        self.sent[stream_id] += message(content)
        self.connection.send(self.connection.streams[stream_id], b"", content)

    def check(self) -> None:
        for frame in self.connection.said():
            self.ledger.heard(frame)


_Step = Callable[[Talk], None]
_SIZES = st.sampled_from([0, 1, 90, 40_000, 100_000])
_GROWTH = st.sampled_from([1, 4, 6, 500, 90_000])
_SENDING: st.SearchStrategy[_Step] = st.builds(lambda *what: lambda talk: talk.send(*what), _STREAM, _SIZES)
_GRANTING: st.SearchStrategy[_Step] = st.builds(
    lambda *what: lambda talk: talk.grant(*what), st.one_of(st.just(0), _STREAM), _GROWTH
)
_SETTLING: st.SearchStrategy[_Step] = st.builds(lambda values: lambda talk: talk.settings(values), _SETTINGS)


@given(st.lists(_SENDING, max_size=8), st.lists(st.one_of(_SETTLING, _SENDING, _GRANTING), max_size=30))
def test_no_window_is_ever_exceeded_and_all_arrives(first: list[_Step], steps: list[_Step]) -> None:
    talk = Talk()
    for step in (*first, *steps):
        step(talk)
        talk.check()
    talk.settings({frames.INITIAL_WINDOW_SIZE: 50_000})
    for number in (0, *talk.sent):
        talk.grant(number, 2**26)
    talk.check()
    assert {number: talk.ledger.data[number] for number in talk.sent} == talk.sent
    assert not talk.connection.congested
