from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.call import Body
from gateway.core.errors import GatewayError, InvalidRequest, MalformedMessage
from gateway.wire import json_envelope
from gateway.wire.json_envelope import MAX_DEPTH, MAX_MEMBERS, SMALL, Cut, Repeated

LARGE = 32 * 2**20


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def read(head: Body) -> object:
    return json_envelope.read(head, json_envelope.tensor_data)


def infer(data: bytes, before: bytes = b"") -> bytes:
    return b'{%b"inputs":[{"name":"A", "data" : %b ,"shape":[1]}]}' % (before, data)


def test_a_small_head_is_read_as_it_is() -> None:
    assert read(infer(b"[1,NaN]")[:-1] + b',"x":null}\r\n') is not None
    assert read(b' {"a":[1,"\\u00fc"]} ') == {"a": [1, "ü"]}
    assert read(bytearray(b"[1]")) == [1]
    assert read(b"1") == 1


def test_a_key_that_is_given_twice_marks_its_object() -> None:
    value = read(b'{"a":{"b":1,"b":2},"c":{"b":1}}')
    assert type(value) is dict
    assert isinstance(value["a"], Repeated)
    assert not isinstance(value["c"], Repeated)
    assert isinstance(read(b'{"a":1,"\\u0061":2}'), Repeated)


@pytest.mark.parametrize("data", [b"[" + b"1.5," * 1_000 + b"2]", b'["' + b'\\"data\\": [1]' * 100 + b'"]'])
def test_of_a_large_head_the_data_is_missing(data: bytes) -> None:
    assert read(infer(data)) == {"inputs": [{"name": "A", "data": [], "shape": [1]}]}


def test_what_is_cut_leaves_brackets_that_nest_as_deep() -> None:
    rows = b"[" + b"[[1],[2]]," * 200 + b"[[3],[4]]]"
    assert read(infer(rows)) == {"inputs": [{"name": "A", "data": [[[]]], "shape": [1]}]}
    assert read(infer(b"[" * 96 + b"1," * 500 + b"1" + b"]" * 96)) is not None
    assert read(infer(b"[" * 97 + b"1," * 500 + b"1" + b"]" * 97)) is not None
    with pytest.raises(InvalidRequest, match="deeper than 100 levels"):
        read(infer(b"[" * 98 + b"1," * 500 + b"1" + b"]" * 98))


def test_a_cut_is_made_behind_a_key_alone() -> None:
    data = b"[" + b"1," * 500 + b"1]"
    text = b'"\\"data\\":' + data + b'"'
    other = b'{"a\\"data":' + data + b',"data":%b}' % data
    value = read(infer(data, before=b'"s":' + text + b',"o":' + other + b","))
    ones = json.loads(data)
    assert value == {
        "s": json.loads(text),
        "o": {'a"data': ones, "data": []},  # the first key of the name, with the value that was looked for
        "inputs": [{"name": "A", "data": ones, "shape": [1]}],
    }


def test_numbers_that_are_none_are_cut_too() -> None:
    data = b"[" + b"NaN,-Infinity,Inf," * 100 + b"1]"
    assert read(infer(data, before=b'"NaN":"NaN",')) == {
        "NaN": "NaN",
        "inputs": [{"name": "A", "data": [], "shape": [1]}],
    }


def test_long_members_of_a_free_form_object_are_cut() -> None:
    long = b"x" * 1_000
    head = b'{"text":"%b","list":["%b"],"objects":[{"a":"%b"}],"n":1}' % (long, long, long)
    value = json_envelope.read(head, json_envelope.long_members)
    assert value == {"text": "", "list": [], "objects": [{"a": long.decode()}], "n": 1}


def test_repeated_keys_are_seen_around_the_cuts() -> None:
    data = b"[" + b"1," * 500 + b"1]"
    assert isinstance(read(infer(data, before=b'"inputs":[],')), Repeated)
    twice = read(b'{"inputs":[{"data":%b,"data":%b}]}' % (data, data))
    assert isinstance(twice, dict)
    assert isinstance(twice["inputs"][0], Repeated)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "The document is empty. at 0"),
        (b"  ", "The document is empty. at 2"),
        (bytes(range(256)), "The document is empty. at 0"),
        (b'{"inputs": [', "Invalid value. at 12"),
        (b"[" * 90, "Invalid value. at 90"),
        (b"{} x", "The document root must not be followed by other values. at 3"),
        (b"{}\0", "The document root must not be followed by other values. at 2"),
        (b"\xef\xbb\xbf{}", "Unexpected UTF-8 BOM|Invalid value"),
        (b'{"\xc3\xbc" 1}', "Missing a colon after a name of object member. at 6"),
        (b"{1}", "Missing a name for object member. at 1"),
        (b'{"a', "Missing a closing quotation mark in string. at 3"),
        (b'{"a":"\\x"}', "Invalid escape character in string. at 6"),
        (b'"\x01"', "Invalid escape character in string. at 1"),
        (b"{" + b" " * 2**21, "at "),
    ],
)
def test_what_is_no_json_is_refused_in_tritons_words(head: bytes, words: str) -> None:
    with pytest.raises(MalformedMessage, match="failed to parse the request JSON buffer: .*" + words):
        read(head)


def test_bytes_that_are_no_text_and_long_numbers_are_for_triton_to_judge() -> None:
    assert read(b'{"a":"\xff","b":"\\ud800"}') == {"a": "\udcff", "b": "\ud800"}
    assert read(b'{"a":1%b}' % (b"0" * 6_000)) == {"a": float("inf")}
    assert read(b'{"a":1%b,"b":1e999}' % (b"0" * 400)) == {"a": 10**400, "b": float("inf")}


def test_what_cannot_be_cut_is_limited() -> None:
    with pytest.raises(InvalidRequest, match="beside the tensors"):
        read(b'{"x":[' + b"1," * 2**20 + b"1]}")
    with pytest.raises(InvalidRequest, match="more than 10000 objects and members"):
        read(b'{"inputs":[' + b"{}," * MAX_MEMBERS + b"{}]}")
    assert read(b'{"inputs":[{"data":["' + b"{:" * 2 * MAX_MEMBERS + b'"]}]}') is not None


@pytest.mark.parametrize(
    "body",
    [
        nested(MAX_DEPTH),
        b'{"data":' + b"[" + b"[[1,2],[3,4]]," * 10_000 + b"1]}",
        b'{"data":["' + b"[{" * 10_000 + b'"]}',  # brackets in strings do not nest
        b'{"data":["' + b'\\"[[' * 10_000 + b'"]}',
        b'{"data":["' + b"\\\\" * 10_000 + b'","[[["]}',
        b"[" + b"[[[[[[1]]]]]]," * 5_000 + b"1]",
        b"{" * 50,  # broken, and not deep: Triton says what is wrong with it
    ],
)
def test_tensors_and_texts_are_not_deep(body: bytes) -> None:
    for each in (body, bytearray(body)):
        json_envelope.check(each)


@pytest.mark.parametrize(
    "body",
    [
        nested(MAX_DEPTH + 1),
        nested(100_000),
        b'{"inputs":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
        b"[" * 1_000_000,
        b'[{"a":' * 60 + b"1" + b"}]" * 60,
        b"[" + (nested(90) + b",") * 1_000 + nested(101) + b"]",
    ],
)
def test_deep_nesting_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="deeper than 100 levels"):
        json_envelope.check(body)
    if len(body) < json_envelope.MAX_BYTES:
        with pytest.raises(InvalidRequest, match="deeper than 100 levels"):
            read(body)


def test_what_is_deep_and_broken_is_refused_too() -> None:
    with pytest.raises(MalformedMessage):
        json_envelope.check(b"[" * 101)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text('[]{}"\\a', max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('[]{}"\\a', max_size=3), inner, max_size=3),
    max_leaves=50,
)


def depth_of(node: object) -> int:
    children = list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else None
    return 0 if children is None else 1 + max(map(depth_of, children), default=0)


@given(JSON, st.integers(0, 130))
def test_depth_is_what_a_parser_would_count(value: object, wrapped: int) -> None:
    body = b"[" * wrapped + json.dumps(value).encode() + b"]" * wrapped
    assert json_envelope.depth(body) == min(depth_of(value) + wrapped, MAX_DEPTH + 1)


Finder = Callable[[Body], list[Cut]]


def plain(head: bytes) -> object:
    """The verdict without any cuts: keys given twice are `Repeated`, too deep is `None`."""
    value = json.loads(
        head, object_pairs_hook=lambda pairs: (Repeated if len(dict(pairs)) < len(pairs) else dict)(pairs)
    )
    everything = json.loads(head, object_pairs_hook=lambda pairs: dict(enumerate(value for _, value in pairs)))
    return None if depth_of(everything) > MAX_DEPTH else value


def alike(cut: object, whole: object) -> bool:
    """Whether `cut` is `whole`, but for texts that are empty and arrays that hold nothing but brackets."""
    if isinstance(whole, dict):
        return type(cut) is type(whole) and cut.keys() == whole.keys() and all(alike(cut[k], whole[k]) for k in whole)
    if isinstance(whole, list):
        if isinstance(cut, list) and len(cut) == len(whole) and all(map(alike, cut, whole)):
            return True
        # No shallower, but for what is only in the text: the first of two values of one key.
        return depth_of(cut) >= depth_of(whole) and bool(cut == json.loads(nested(depth_of(cut))))
    return bool(cut == whole or (isinstance(whole, str) and cut == ""))


KEYS = st.sampled_from(['"inputs"', '"data"', '"d\\u0061ta"', '"a\\"data"', '"name"', '"parameters"', '"text"'])
LONG = st.sampled_from(
    [
        "[" + "1," * 40 + "1]",
        "[" + "[1]," * 30 + "[2]]",
        '["' + '\\"data\\":[1],' * 8 + '"]',
        '"' + '\\"data\\":[1,' * 8 + '"',
        "[" + '{"a":1,"a":2},' * 8 + "1]",
        "[" * 95 + "1" + "]" * 95,
    ]
)


def objects(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.lists(st.tuples(KEYS, st.sampled_from([":", " : ", "\n:"]), values).map("".join), max_size=4)
    return pairs.map(lambda members: "{" + ",".join(members) + "}") | st.lists(values, max_size=3).map(
        lambda items: "[" + ",".join(items) + "]"
    )


TEXTS = st.recursive(LONG | st.sampled_from(["1", '"x"', "null", "[1]"]), objects, max_leaves=12)
REQUESTS = st.lists(objects(TEXTS), min_size=1, max_size=3).map(
    lambda inputs: '{"inputs":[' + ",".join(inputs) + "]," + '"text":"' + "x" * SMALL + '"}'
)


@settings(max_examples=400)
@given(REQUESTS | objects(TEXTS), st.sampled_from([json_envelope.tensor_data, json_envelope.long_members]))
def test_with_cuts_and_without_the_verdict_is_the_same(text: str, cuts: Finder) -> None:
    whole = plain(text.encode())
    try:
        cut = json_envelope.read(text.encode(), cuts)
    except InvalidRequest:
        assert whole is None
    else:
        assert alike(cut, whole)


@settings(max_examples=200)
@given(REQUESTS, st.integers(0, 3_000), st.binary(max_size=4), st.integers(0, 4))
def test_broken_requests_are_refused_or_read_as_they_are(text: str, place: int, noise: bytes, gone: int) -> None:
    body = text.encode()
    body = body[:place] + noise + body[place + gone :]
    try:
        whole = plain(body)
    except (ValueError, RecursionError):
        whole = None
    for cuts in (json_envelope.tensor_data, json_envelope.long_members):
        with contextlib.suppress(GatewayError):
            cut = json_envelope.read(body, cuts)
            assert alike(cut, whole) or whole is None


@pytest.mark.parametrize(
    "body",
    [
        b"[" * LARGE,
        b'{"x":' + b"[" * LARGE,
        infer(b"[" + b"[]," * (LARGE // 3) + b"1]"),
        infer(b"[" + (nested(50) + b",") * (LARGE // 101) + b"1]"),
        infer(b"[" + b'"",' * (LARGE // 3) + b"1]"),
        infer(b'["' + b'[","' * (LARGE // 4) + b'"]'),
        infer(b"[" + b"NaN," * (LARGE // 4) + b"1]"),
        b'{"inputs":[' + b"{}," * (LARGE // 3) + b"1]}",
        b"{" + b'"a":1,' * (LARGE // 6) + b'"b":1}',
        b'{"x":[' + b'"data",' * (LARGE // 7) + b'1],"inputs":[{"data":[1' + b",1" * 100 + b"]}]}",
        b" " * LARGE,
        bytes(LARGE),
    ],
    ids=lambda body: repr(body[:30]),
)
def test_the_worst_costs_little(body: bytes) -> None:
    for cuts in (json_envelope.tensor_data, json_envelope.long_members):
        started = time.process_time()
        with contextlib.suppress(GatewayError):
            json_envelope.read(body, cuts)
        assert time.process_time() - started < 1  # a third of it where nothing else runs
