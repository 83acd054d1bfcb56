import contextlib
import gzip
import random
import time
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.errors import GatewayError, InvalidRequest, RequestTooLarge, UnsupportedFeature
from gateway.wire.compression import decompress

PACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}
LARGE = 2**40


@settings(max_examples=50)
@given(st.sampled_from(["gzip", "deflate"]), st.binary(max_size=2_000), st.integers(1, 400))
def test_what_was_packed_comes_out_again(encoding: str, data: bytes, times: int) -> None:
    packed = PACK[encoding](data * times)
    assert decompress(packed, encoding, LARGE, LARGE) == data * times
    assert decompress(bytearray(packed), encoding, LARGE, LARGE) == data * times


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_large_bodies_take_time_in_line_with_their_length(encoding: str) -> None:
    data = random.Random(0).randbytes(24 * 2**20)  # noqa: S311 - no secret
    packed = PACK[encoding](data)
    started = time.process_time()
    assert decompress(packed, encoding, LARGE, LARGE) == data
    assert time.process_time() - started < 2


def test_identity_is_as_it_came() -> None:
    assert decompress(b"abc", "identity", 1, 1) == b"abc"


def test_gzip_may_have_several_members() -> None:
    assert decompress(gzip.compress(b"a") + gzip.compress(b"") + gzip.compress(b"b"), "gzip", LARGE, LARGE) == b"ab"


@pytest.mark.parametrize(("encoding", "most"), [("gzip", 100_000), ("deflate", 100_000)])
def test_a_bomb_is_given_up_early(encoding: str, most: int) -> None:
    bomb = PACK[encoding](bytes(64 * 2**20))
    tracemalloc.start()
    with pytest.raises(RequestTooLarge, match="maximum of 100000 bytes"):
        decompress(bomb, encoding, most, LARGE)
    with pytest.raises(RequestTooLarge, match="more than 10 times its length"):
        decompress(bomb, encoding, LARGE, 10)
    assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    tracemalloc.stop()


def test_the_limit_itself_is_allowed() -> None:
    packed = gzip.compress(bytes(1_000))
    assert len(decompress(packed, "gzip", 1_000, LARGE)) == 1_000
    with pytest.raises(RequestTooLarge):
        decompress(packed, "gzip", 999, LARGE)


def test_many_small_members_are_no_way_around_the_limit() -> None:
    with pytest.raises(RequestTooLarge):
        decompress(gzip.compress(bytes(1_000)) * 11, "gzip", 10_000, LARGE)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("size", [0, 1, 5, -1])
def test_a_body_that_is_cut_off_is_refused(encoding: str, size: int) -> None:
    with pytest.raises(InvalidRequest, match="ends in the middle"):
        decompress(PACK[encoding](b"abc" * 100)[:size], encoding, LARGE, LARGE)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_what_is_broken_or_followed_by_more_is_refused(encoding: str) -> None:
    packed = PACK[encoding](b"abc")
    with pytest.raises(InvalidRequest, match=f"not valid {encoding}"):
        decompress(b"not packed", encoding, LARGE, LARGE)
    with pytest.raises(InvalidRequest, match=f"not valid {encoding}: incorrect"):
        decompress(packed[:-1] + b"\xff", encoding, LARGE, LARGE)
    with pytest.raises(InvalidRequest, match="2 bytes follow"):
        decompress(packed + b"xy", encoding, LARGE, LARGE)


def test_raw_deflate_is_not_what_http_calls_deflate() -> None:
    raw = zlib.compressobj(wbits=-15)
    with pytest.raises(InvalidRequest):
        decompress(raw.compress(b"abc") + raw.flush(), "deflate", LARGE, LARGE)


def test_other_encodings_are_not_served() -> None:
    with pytest.raises(UnsupportedFeature, match="br"):
        decompress(b"", "br", LARGE, LARGE)


@settings(max_examples=200)
@given(st.sampled_from(["gzip", "deflate"]), st.binary(max_size=200), st.integers(0, 300), st.binary(max_size=3))
def test_any_bytes_are_unpacked_or_refused(encoding: str, data: bytes, place: int, noise: bytes) -> None:
    packed = PACK[encoding](data)
    for body in (data, packed[:place] + noise + packed[place + len(noise) :]):
        with contextlib.suppress(GatewayError):
            assert len(decompress(body, encoding, 1_000, 100)) <= 1_000
