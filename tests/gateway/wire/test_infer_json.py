from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.call import Operation, Sequence
from gateway.core.errors import Forbidden, GatewayError, InvalidRequest, MalformedMessage
from gateway.wire import infer_json

INFER, GENERATE, STREAM = Operation.INFER, Operation.GENERATE, Operation.GENERATE_STREAM
SHARED = {"shared_memory_region": "r", "shared_memory_byte_size": 8}


def tensor(name: str = "A", **parameters: object) -> dict[str, object]:
    return {"name": name, "shape": [1], "datatype": "FP32", "data": [1.0], "parameters": parameters}


def read(request: object, operation: Operation = INFER, *, shared: bool = False) -> Sequence | None:
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    return infer_json.read(operation, body, len(body), shared)


def padded(request: dict[str, object]) -> dict[str, object]:
    """The same with a tensor that is long enough to be cut out."""
    inputs = request.get("inputs", [])
    assert isinstance(inputs, list)
    return {**request, "inputs": [{"name": "long", "data": [0.5] * 1_000}, *inputs]}


def test_a_request_as_clients_write_it_is_let_through() -> None:
    request: dict[str, object] = {
        "id": "x",
        "parameters": {"priority": 1, "timeout": 1_000, "binary_data_output": True, "mine": "yes"},
        "inputs": [tensor("A", binary_data_size=4), tensor("B")],
        "outputs": [{"name": "Y", "parameters": {"classification": 3}}, {"name": "Z"}],
    }
    assert read(request) is None
    assert read(padded(request)) is None
    assert read(bytes(json.dumps(request), "utf-8")) is None


def test_a_sequence_is_told() -> None:
    parameters: dict[str, object] = {"sequence_id": 5, "sequence_start": True}
    assert read({"parameters": parameters, "inputs": [tensor()]}) == Sequence("5", start=True)
    assert read({"parameters": {"sequence_id": "s", "sequence_end": True}}) == Sequence("s", end=True)
    assert read(padded({"parameters": parameters})) == Sequence("5", start=True)
    assert read({"parameters": {"sequence_id": 0}}) is None


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"parameters": {"triton_x": 1}}, r"parameters\.triton_x is reserved"),
        ({"parameters": {"headers": 1}}, r"parameters\.headers is reserved"),
        ({"parameters": {"sequence_id": True}}, r"parameters\.sequence_id must be"),
        ({"parameters": {"timeout": -1}}, r"parameters\.timeout must be"),
        ({"inputs": [tensor(), tensor()]}, "inputs: 'A' is given twice"),
        ({"outputs": [{"name": "Y"}, {"name": "X"}, {"name": "Y"}]}, "outputs: 'Y' is given twice"),
    ],
)
def test_what_is_not_the_clients_to_say_is_refused_with_its_place(request_: dict[str, object], words: str) -> None:
    for request in (request_, padded(request_)):
        with pytest.raises(InvalidRequest, match=words):
            read(request)


@pytest.mark.parametrize("place", ["inputs", "outputs"])
def test_shared_memory_needs_the_switch(place: str) -> None:
    request: dict[str, object] = {place: [tensor("A"), tensor("B", **SHARED)]}
    for each in (request, padded(request)):
        with pytest.raises(Forbidden, match=rf"{place}\[\d\]\.parameters\.shared_memory_region"):
            read(each)
        assert read(each, shared=True) is None


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'{"inputs":[],"inputs":[]}', "the request"),
        (b'{"inputs":[],"\\u0069nputs":[]}', "the request"),
        (b'{"parameters":{"a":1,"a":2}}', "parameters"),
        (b'{"inputs":[{"name":"A"},{"name":"B","name":"C"}]}', r"inputs\[1\]"),
        (b'{"inputs":[{"name":"A","parameters":{"a":1,"a":2}}]}', r"inputs\[0\]\.parameters"),
        (b'{"outputs":[{"name":"A","parameters":{"a":1,"a":2}}]}', r"outputs\[0\]\.parameters"),
    ],
)
def test_a_key_that_is_given_twice_is_refused(body: bytes, place: str) -> None:
    for head in (body, body[:-1] + b" " * 1_000 + b"}"):
        with pytest.raises(InvalidRequest, match=f"^{place}: a key is given twice"):
            read(head)


@pytest.mark.parametrize(
    "request_",
    [
        [1],
        1,
        None,
        {},
        {"inputs": 5},
        {"inputs": [1, None]},
        {"inputs": {"a": 1}},
        {"parameters": [1]},
        {"inputs": [{"name": []}]},
    ],
)
def test_what_triton_refuses_by_itself_is_left_to_it(request_: object) -> None:
    assert read(request_) is None


def test_what_is_no_json_never_reaches_triton() -> None:
    for body in (b'{"inputs": [', b"{}\0", b"\0", b"", b"{'a':1}"):
        for operation in (INFER, GENERATE):
            if body:
                with pytest.raises(MalformedMessage):
                    read(body, operation)


def test_only_the_head_is_looked_at() -> None:
    head = b'{"inputs":[]}'
    assert infer_json.read(INFER, head + b"\x00" * 100, len(head), False) is None
    assert infer_json.read(INFER, bytearray(head + b"{"), len(head), False) is None
    with pytest.raises(MalformedMessage):
        infer_json.read(INFER, head + b"{", len(head) + 1, False)


def test_a_raw_request_has_no_head_and_a_generate_request_is_all_head() -> None:
    assert infer_json.read(INFER, b"{{{", 0, False) is None
    assert infer_json.read(GENERATE, b"", 0, False) is None
    with pytest.raises(InvalidRequest, match="reserved"):
        infer_json.read(GENERATE, b'{"triton_x":1}', 0, False)


@pytest.mark.parametrize("operation", [GENERATE, STREAM])
def test_generate_requests_are_free_in_form(operation: Operation) -> None:
    request = {"text_input": "[[{{" * 1_000, "max_tokens": 5, "stop": ["a"], "parameters": {"temperature": 0.5}}
    assert read(request, operation) is None
    assert read({**request, "sequence_id": 3}, operation) == Sequence("3")
    assert read({**request, "parameters": {"sequence_id": "s", "sequence_end": True}}, operation) == Sequence(
        "s", end=True
    )


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"triton_x": 1}, "^triton_x is reserved"),
        ({"headers": "h"}, "^headers is reserved"),
        ({"parameters": {"triton_x": 1}}, r"^parameters\.triton_x is reserved"),
        ({"sequence_id": "x" * 2_000}, "sequence_id is longer"),
        ({"sequence_id": 1, "parameters": {"sequence_id": 2}}, "sequence_id is given twice"),
        ({"sequence_id": []}, "sequence_id must be"),
    ],
)
def test_generate_requests_keep_to_the_same_rules(request_: dict[str, object], words: str) -> None:
    for request in (request_, {"text_input": "x" * 1_000, **request_}):
        with pytest.raises(InvalidRequest, match=words):
            read(request, GENERATE)


def test_other_bodies_are_checked_for_their_depth() -> None:
    assert read(b'{"parameters":{"config":"{}"}}', Operation.LOAD_MODEL) is None
    assert read(b"no JSON", Operation.REPOSITORY_INDEX) is None
    with pytest.raises(InvalidRequest, match="deeper"):
        read(b"[" * 5_000, Operation.TRACE_SETTING)


NAMES = st.sampled_from(
    ["name", "data", "shape", "parameters", "inputs", "outputs", "sequence_id", "sequence_start", "headers", "triton_x"]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 2**65)
    | st.text(max_size=3)
    | st.just([0.5] * 300)
    | st.just("x" * 600),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.just("shared_memory_region"), inner, max_size=4)
    ),
    max_leaves=15,
)


@settings(max_examples=300)
@given(st.dictionaries(NAMES, VALUES), st.sampled_from([INFER, GENERATE]), st.booleans())
def test_the_verdict_does_not_depend_on_the_length(
    request_: dict[str, object], operation: Operation, shared: bool
) -> None:
    def verdict(body: bytes) -> object:
        try:
            return infer_json.read(operation, body, len(body), shared)
        except GatewayError as error:
            return type(error), error.message

    body = json.dumps(request_).encode()
    assert verdict(body) == verdict(b"{" + b" " * 2_000 + body[1:])  # read as a whole, and with cuts


@settings(max_examples=200)
@given(
    st.binary(max_size=300) | st.binary(max_size=50).map(lambda noise: b'{"inputs":[' + noise),
    st.sampled_from(Operation),
)
def test_any_bytes_are_read_or_refused(body: bytes, operation: Operation) -> None:
    for each in (body, bytearray(body)):
        with contextlib.suppress(GatewayError):
            assert infer_json.read(operation, each, len(each), False) is None
