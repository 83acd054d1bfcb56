import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.tap import frames
from gateway.tap.exchange import Exchange
from tests.gateway.tap.test_base import exchange


def parse(data: bytes) -> Exchange:
    length, size = frames.lengths(data[: frames.PREFIX_BYTES])
    position = frames.PREFIX_BYTES + length
    envelope = frames.envelope(data[frames.PREFIX_BYTES : position], size)
    bodies = []
    for each in envelope.lengths:
        bodies.append(data[position : position + each])
        position += each
    assert position == len(data)
    return envelope.filled(bodies)


@given(st.binary(), st.lists(st.binary(), max_size=3), st.text(), st.none() | st.integers(0, 2**31))
def test_an_exchange_comes_out_as_it_went_in(
    request: bytes, bodies: list[bytes], text: str, length: int | None
) -> None:
    (some, *_) = exchange().answers
    answers = tuple(replace(some, body=body, message=text) for body in bodies)
    one = exchange(request, answers=answers, request_id=text, header_length=length)
    assert parse(b"".join(frames.pieces(one))) == one


def test_bodies_are_not_copied() -> None:
    one = exchange(bytes(1000))
    _, _, *bodies = frames.pieces(one)
    assert bodies[0] is one.request
    assert bodies[1:] == [answer.body for answer in one.answers]


def test_text_that_is_no_unicode() -> None:
    with pytest.raises(UnicodeEncodeError):
        frames.pieces(exchange(tenant="\ud800"))


@pytest.mark.parametrize(("envelope", "bodies"), [(2**23, 0), (0, frames.MOST_BYTES + 1), (2**32 - 1, 2**64 - 1)])
def test_a_frame_that_is_too_large(envelope: int, bodies: int) -> None:
    with pytest.raises(ValueError, match="the most are"):
        frames.lengths(struct.pack(">IQ", envelope, bodies))


@pytest.mark.parametrize(
    ("lengths", "bodies"), [((1, 2), 3), ((1, 2, 3, 4), 10), ((-1, 2, 2), 3), ((1, 2, 3), 7), ((), 0)]
)
def test_lengths_that_are_not_those_of_the_exchange(lengths: tuple[int, ...], bodies: int) -> None:
    data = msgspec.msgpack.encode(frames.Envelope(exchange(b""), lengths))
    with pytest.raises(ValueError, match="not those of the exchange"):
        frames.envelope(data, bodies)


@given(st.binary(max_size=100))
def test_any_bytes_are_an_envelope_or_refused(data: bytes) -> None:
    with pytest.raises((ValueError, msgspec.DecodeError)):
        frames.envelope(data, 0)
