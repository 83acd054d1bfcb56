from __future__ import annotations

import contextlib
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.errors import GatewayError, MalformedMessage
from gateway.wire import json_envelope
from gateway.wire.json_flat import LONG, without_flat_arrays

ONES = b"[" + b"1," * LONG + b"1]"
HOSTILE = 32 * 2**20


def test_long_flat_arrays_are_emptied_wherever_they_are() -> None:
    text = b'{"inputs":[{"data":%b,"shape":[1]},{"shape":[2],"data" :\n%b}],"data": %b}' % (ONES, ONES, ONES)
    short = b'{"inputs":[{"data":[],"shape":[1]},{"shape":[2],"data" :\n[]}],"data": []}'
    assert without_flat_arrays(text) == short
    assert without_flat_arrays(bytearray(text)) == short


@pytest.mark.parametrize(
    "text",
    [
        b'{"data":[1,2,3]}',
        b'{"datum":%b}' % ONES,
        b'{"a\\"data":%b}' % ONES,
        b'{"data":"%b"}' % ONES,
        b'{"data",%b}' % ONES,
        b'{"data":[%b]}' % ONES,
        b'{"data":[%b1,{"a":1}]}' % (b"1," * LONG),
        b'{"data":[%b"a"]}' % (b"1," * LONG),
        b'{"data":[%b/*]*/1]}' % (b"1," * LONG),
        b'{"data":[%b\x001]}' % (b"1," * LONG),
        b'{"data":[%b' % (b"1," * LONG),
        b"",
    ],
    ids=lambda text: repr(text[:12] + text[-12:]),
)
def test_everything_else_stays_and_is_not_copied(text: bytes) -> None:
    assert without_flat_arrays(text) is text


def test_what_is_no_json_is_told_by_its_place_in_the_whole() -> None:
    text = b'{"inputs":[{"data":%b}] x}' % ONES
    with pytest.raises(MalformedMessage, match=f"at {len(text) - 2}"):
        json_envelope.read(text, json_envelope.tensor_data)


def test_numbers_that_are_none_are_for_triton_to_judge() -> None:
    text = b'{"inputs":[{"data":[%b1..2]}]}' % (b"1," * LONG)
    assert json_envelope.read(text, json_envelope.tensor_data) == {"inputs": [{"data": []}]}


KEYS = st.sampled_from(['"data"', '"d\\u0061ta"', '"a\\"data"', '"\\\\"', '"data\\\\"', '"parameters"'])
LEAVES = st.sampled_from([ONES.decode(), '"\\"data\\":' + ONES.decode() + '"', "[1]", '"data"', "1", '"]"', "null"])


def _objects(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.lists(st.tuples(KEYS, st.sampled_from([":", " :\t"]), values).map("".join), max_size=3)
    lists = st.lists(values, max_size=3).map(",".join)
    return pairs.map(lambda members: "{" + ",".join(members) + "}") | lists.map(lambda items: f"[{items}]")


TEXTS = st.recursive(LEAVES, _objects, max_leaves=8)


def _emptied(pairs: list[tuple[str, object]]) -> list[tuple[str, object]]:
    """An object with the arrays under `data` emptied that may be."""
    return [(key, [] if key == "data" and isinstance(value, list) else value) for key, value in pairs]


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_what_is_left_is_the_same_request_with_emptier_data(text: str) -> None:
    short = bytes(without_flat_arrays(text.encode()))
    assert json.loads(short, object_pairs_hook=_emptied) == json.loads(text, object_pairs_hook=_emptied)


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.integers(0, 6_000), st.binary(max_size=3), st.integers(0, 3))
def test_json_is_never_read_as_something_else(text: str, place: int, noise: bytes, gone: int) -> None:
    body = text.encode()
    body = body[:place] + noise + body[place + gone :]
    try:
        whole = json.loads(body, object_pairs_hook=_emptied)
    except ValueError:
        return
    assert json.loads(without_flat_arrays(body), object_pairs_hook=_emptied) == whole


@pytest.mark.parametrize(
    "body",
    [
        b'"data":[' * (HOSTILE // 8),
        b'"data":[' * (HOSTILE // 8) + b"]",
        b'"data":[1],' * (HOSTILE // 11),
        b'"data"' + b" " * HOSTILE,
        (b'"data":' + ONES + b",") * (HOSTILE // len(ONES)),
        b'"data":' + ONES[:-1] + b"1" * HOSTILE,
    ],
    ids=lambda body: repr(body[:20]),
)
def test_the_worst_costs_little(body: bytes) -> None:
    started = time.process_time()
    with contextlib.suppress(GatewayError):
        without_flat_arrays(body)
    assert time.process_time() - started < 0.5
