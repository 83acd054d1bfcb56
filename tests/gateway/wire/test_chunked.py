import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import InvalidRequest
from gateway.wire.chunked import ChunkedBody


def encoded(chunks: list[bytes]) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.integers(1, 20), st.binary(max_size=9))
def test_any_cut_of_any_body_gives_the_body_and_leaves_what_follows(
    chunks: list[bytes], cut: int, following: bytes
) -> None:
    wire = encoded(chunks) + following
    body, used = ChunkedBody(), 0
    while not body.done:
        piece = wire[used : used + cut]
        used += body.feed(piece)
    assert body.data == b"".join(chunks)
    assert wire[used:] == following


def test_extensions_and_trailers_are_dropped() -> None:
    body = ChunkedBody()
    wire = b'3;name="v"\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n'
    assert body.feed(wire) == len(wire)
    assert body.done
    assert body.data == b"abc"


def test_what_is_decoded_can_be_taken_away_piece_by_piece() -> None:
    body = ChunkedBody()
    body.feed(b"3\r\nabc\r\n")
    assert body.data == b"abc"
    body.data = bytearray()
    body.feed(b"2\r\nde\r\n")
    assert body.data == b"de"


@pytest.mark.parametrize(
    "wire",
    [
        b"3\nabc\r\n",
        b"0x3\r\nabc\r\n",
        b"+3\r\nabc\r\n",
        b"-3\r\nabc\r\n",
        b" 3\r\nabc\r\n",
        b"1_0\r\n",
        b"\r\n",
        b"g\r\n",
        b"1000000000000000\r\n",
        b"3\r\nabcd\r\n",
        b"3\r\nabc\n",
        b"3\r\nabcXX",
        b"3\r\nabc\r\r\n",
        b"0\r\nA: b\n\r\n",
        b"0\r\nA: b\rC\r\n\r\n",
        b"3;" + b"x" * 5000,
        b"0\r\n" + b"A: b\r\n" * 100,
    ],
)
def test_what_is_not_chunked_coding_is_refused(wire: bytes) -> None:
    with pytest.raises(InvalidRequest):
        ChunkedBody().feed(wire + b"\r\n0\r\n\r\n")
