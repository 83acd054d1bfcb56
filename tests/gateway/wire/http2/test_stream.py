import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import RequestTooLarge
from tests.gateway.grpc_peers import message
from tests.gateway.wire.http2.recorder import RecordedStream


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *[place % (len(data) + 1) for place in places]})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@given(st.lists(st.binary(max_size=30), max_size=6), st.lists(st.integers(0, 1000), max_size=30))
def test_messages_are_whole_however_they_are_cut(messages: list[bytes], places: list[int]) -> None:
    stream = RecordedStream(1)
    for piece in cut(b"".join([message(content) for content in messages]), places):
        stream.feed(memoryview(piece))
    assert stream.events == messages
    assert not stream.incomplete


def test_a_long_message_is_received_in_place() -> None:
    content = bytes(range(256)) * 20_000
    stream = RecordedStream(1)
    stream.feed(memoryview(message(content)[:100_000]))
    position = 100_000 - 5
    places = 0
    while (view := stream.direct()) is not None:
        size = min(len(view), 300_000, len(content) - position)
        view[:size] = content[position : position + size]
        del view
        stream.received(size)
        position += size
        places += 1
    assert places > 5
    stream.feed(memoryview(content[position:]))
    assert stream.events == [content]
    assert stream.reserved == len(content)


def test_a_length_alone_costs_little() -> None:
    stream = RecordedStream(1)
    stream.feed(memoryview(b"\0\x7f\xff\xff\xff"))
    assert stream.incomplete
    assert stream.reserved <= 2**18


def test_a_length_above_the_limit_is_refused_before_its_bytes_come() -> None:
    for data in (b"\0\0\0\0\x0b", message(b"x" * 11)):
        stream = RecordedStream(1, max_message=10)
        with pytest.raises(RequestTooLarge, match="11 bytes exceeds the maximum of 10"):
            stream.feed(memoryview(data))
        assert stream.reserved == 0


def test_compressed_messages_are_told_apart() -> None:
    stream = RecordedStream(1)
    stream.feed(memoryview(message(b"zip", compressed=1)))
    stream.feed(memoryview(message(b"", compressed=1)))
    stream.feed(memoryview(message(b"zap", compressed=1) + message(b"plain")))
    assert stream.events == [("compressed", b"zip"), ("compressed", b""), ("compressed", b"zap"), b"plain"]
