import contextlib
from random import Random

import hpack
import pytest
from hpack import Encoder
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.http2 import frames
from gateway.wire.http2.frames import Http2Error, StreamError
from gateway.wire.http2.hpack import Decoder, Fields, integer, literal, read_integer

names = st.one_of(
    st.sampled_from([b":path", b"te", b"content-type", b"grpc-timeout", b"x-request-id"]),
    st.text("abcdefghijklmnopqrstuvwxyz-0123456789", min_size=1, max_size=40).map(str.encode),
)
values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=300).map(str.encode)
lists = st.lists(st.tuples(names, values), max_size=12)


def decoder(limit: int = 2**20) -> Decoder[Fields]:
    return Decoder(limit, list)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(lists, st.booleans(), st.sampled_from([None, 0, 100, 4096])), max_size=8))
def test_whatever_an_encoder_says_is_understood(blocks: list[tuple[Fields, bool, int | None]]) -> None:
    encoder, ours = Encoder(), decoder()
    for fields, huffman, size in blocks:
        if size is not None:
            encoder.header_table_size = size
        # Twice: the second time the same fields are in the table, and the time after that comes from memory.
        for _ in range(3):
            assert ours.decode(encoder.encode(fields, huffman)) == fields


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_garbage_is_refused_and_never_breaks_it(block: bytes) -> None:
    with contextlib.suppress(Http2Error):  # and nothing else
        assert all(name == name.lower() for name, _ in decoder().decode(block))


def test_what_repeats_is_interpreted_once() -> None:
    seen: list[Fields] = []

    def interpret(fields: Fields) -> int:
        seen.append(fields)
        return len(seen)

    ours: Decoder[int] = Decoder(1000, interpret)
    assert [ours.decode(b"\x83\x86") for _ in range(3)] == [1, 1, 1]
    assert ours.decode(literal(b"a", b"b", 0x40)) == 2
    assert [ours.decode(b"\xbe"), ours.decode(b"\xbe")] == [3, 3]
    assert ours.decode(literal(b"a", b"c", 0x40)) == 4  # the same byte means another field now
    assert ours.decode(b"\xbe") == 5
    assert seen[-1] == [(b"a", b"c")]


def test_a_peer_that_tells_its_table_the_same_each_time_is_interpreted_once() -> None:
    seen: list[Fields] = []

    def interpret(fields: Fields) -> int:
        seen.append(fields)
        return len(seen)

    ours: Decoder[int] = Decoder(1000, interpret)
    block = b"\x88" + literal(b"server", b"nginx", 0x40) + literal(b"date", b"today", 0x40)
    assert [ours.decode(block) for _ in range(100)] == [1] * 100
    assert ours.decode(b"\xbe\xbf\xc0") == 2  # each of them is in the table, as often as it was said
    assert seen[-1] == [(b"date", b"today"), (b"server", b"nginx"), (b"date", b"today")]


_PARTS = st.sampled_from(
    [
        b"\x83",
        b"\x88",
        b"\xbe",
        b"\xbf",
        b"\xc0",
        literal(b"a", b"b"),
        literal(b"a", b"b", 0x40),
        literal(b"c", b"d" * 1500, 0x40),
        literal(b"c", b"e" * 5000, 0x40),
        b"\x7e\x01f",  # the name of the newest entry, and a new value, into the table
        b"\x0f\x2f\x01g",  # the same, and not into the table
    ]
)
_SIZES = st.sampled_from([b"", b"", b"", b"\x20", b"\x3f\xe1\x1f", b"\x20\x3f\xe1\x1f", b"\x3f\x45"])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(_SIZES, st.lists(_PARTS, max_size=4)), min_size=1, max_size=5), st.randoms())
def test_what_is_remembered_is_what_would_be_read(kinds: list[tuple[bytes, list[bytes]]], chance: Random) -> None:
    ours, reference = decoder(), hpack.Decoder(2**20)
    chosen = [chance.choice(kinds) for _ in range(20)]
    for block in [literal(b"g", b"h", 0x40) * 3, *[size + b"".join(parts) for size, parts in chosen]]:
        try:
            expected = [(bytes(name), bytes(value)) for name, value in reference.decode(block, raw=True)]
        except hpack.HPACKError:
            with pytest.raises(Http2Error):
                ours.decode(block)
            return
        assert ours.decode(block) == expected


def test_entries_that_were_evicted_are_gone() -> None:
    ours = decoder()
    ours.decode(literal(b"a", b"b", 0x40))
    ours.decode(b"\x20")  # a table of size 0
    with pytest.raises(Http2Error):
        ours.decode(b"\xbe")


def test_a_small_block_cannot_become_a_large_list() -> None:
    ours = decoder(16_384)
    ours.decode(literal(b"a", b"x" * 4000, 0x40))
    with pytest.raises(StreamError) as caught:
        ours.decode(b"\xbe" * 10)
    assert caught.value.code == frames.ENHANCE_YOUR_CALM
    assert ours.decode(b"\xbe") == [(b"a", b"x" * 4000)]
    with pytest.raises(Http2Error) as bomb:
        ours.decode(b"\xbe" * 10_000)
    assert type(bomb.value) is Http2Error


@pytest.mark.parametrize(
    "block",
    [
        literal(b"A", b"b"),
        literal(b"", b"b"),
        literal(b"a", b"b\nc"),
        literal(b"a\0", b"b"),
        b"\x80",
        b"\xff\xff\xff\xff\xff\xff\x0f",
        b"\x3f\xe2\x1f",  # a table of 4097 bytes
        b"\x83\x20",
        b"\x00\x01a\x05b",
        b"\x00\x01a\x81\x00",  # Huffman padding of zeros
    ],
)
def test_what_http2_forbids_ends_the_connection(block: bytes) -> None:
    with pytest.raises(Http2Error):
        decoder().decode(block)


@given(st.integers(0, 2**28), st.sampled_from([0x7F, 0x3F, 0x0F]))
def test_numbers_come_back(value: int, mask: int) -> None:
    data = integer(value, mask, 0x80 & ~mask)
    assert read_integer(data, 0, mask) == (value, len(data))
