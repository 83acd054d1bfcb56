import gzip
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.call import Reply
from gateway.core.errors import UpstreamBroken
from gateway.wire.outputs import Outputs

JSON = ((b"content-type", b"application/json"),)
LENGTH = b"inference-header-content-length"
NONE: dict[str, Any] = {}

TENSORS = st.dictionaries(
    st.sampled_from("abcdef"),
    st.binary(max_size=40) | st.lists(st.floats(width=32, allow_nan=False), max_size=5),
    max_size=6,
)


def answer(tensors: dict[str, Any]) -> Reply:
    """As Triton writes it: bytes are binary outputs."""
    outputs, blobs = [], []
    for name, tensor in tensors.items():
        output: dict[str, Any] = {"name": name, "datatype": "FP32", "shape": [len(tensor)]}
        if isinstance(tensor, bytes):
            output["parameters"] = {"binary_data_size": len(tensor)}
            blobs.append(tensor)
        else:
            output["data"] = tensor
        outputs.append(output)
    head = json.dumps({"model_name": "m", "parameters": {"x": 1}, "outputs": outputs}).encode()
    metadata = (*JSON, (LENGTH, b"%d" % len(head))) if blobs else JSON
    return Reply(200, metadata, head + b"".join(blobs))


def tensors_of(reply: Reply) -> dict[str, Any]:
    """The tensors as a client reads them."""
    length = int(dict(reply.metadata).get(LENGTH, len(reply.body)))
    head, position, found = json.loads(reply.body[:length]), length, {}
    assert (head["model_name"], head["parameters"]) == ("m", {"x": 1})
    for output in head["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        if size is None:
            found[output["name"]] = output["data"]
        else:
            found[output["name"]] = bytes(reply.body[position : position + size])
            position += size
    assert position == len(reply.body)
    return found


@given(
    TENSORS,
    st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("uvwxyz"), max_size=3),
    st.frozensets(st.sampled_from("abcdef")),
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 6)),
)
def test_outputs_are_renamed_left_out_and_rounded(
    tensors: dict[str, Any], rename: dict[str, str], drop: frozenset[str], digits: dict[str, int]
) -> None:
    if len(set(rename.values())) < len(rename):
        rename = {}

    def rounded(name: str, tensor: Any) -> Any:
        if isinstance(tensor, bytes) or name not in digits:
            return tensor
        return [round(value, digits[name]) for value in tensor]

    reply = Outputs(rename, drop, digits).apply(answer(tensors))
    assert tensors_of(reply) == {
        rename.get(name, name): rounded(name, tensor) for name, tensor in tensors.items() if name not in drop
    }


def test_what_no_rule_names_stays_the_text_that_it_is() -> None:
    body = b'{"outputs":[{"name":"a","data":[1.50, 2e0]},{"name":"b","data":[0.126, 7, [1.005e1]]}]}'
    reply = Outputs({"a": "z"}, frozenset(), {"b": 2}).apply(Reply(200, JSON, body, variant="v"))
    assert reply.body == b'{"outputs":[{"name":"z","data":[1.50, 2e0]},{"name":"b","data":[0.13,7,[10.05]]}]}'
    assert reply.variant == "v"


def test_two_names_can_be_exchanged_and_not_become_one() -> None:
    reply = answer({"a": [1.0], "b": [2.0]})
    assert tensors_of(Outputs({"a": "b", "b": "a"}, frozenset(), NONE).apply(reply)) == {"b": [1.0], "a": [2.0]}
    with pytest.raises(UpstreamBroken):
        Outputs({"a": "b"}, frozenset(), NONE).apply(reply)
    with pytest.raises(UpstreamBroken):
        Outputs({"a": "b"}, frozenset(), NONE).apply(Reply(200, JSON, b'{"a":1,"b":2}'))


def test_numbers_that_json_does_not_have_survive() -> None:
    body = b'{"model_name":"m","outputs":[{"name":"a","data":[NaN,0.123,-Infinity]},{"name":"b","data":["\xff"]}]}'
    for digits in ({"a": 1}, {}):
        reply = Outputs({"b": "c"}, frozenset(), digits).apply(Reply(200, JSON, body))
        (one, other) = json.loads(reply.body.decode("utf-8", "surrogateescape"))["outputs"]
        assert math.isnan(one["data"][0])
        assert one["data"][1:] == [0.1 if digits else 0.123, -math.inf]
        assert other == {"name": "c", "data": ["\udcff"]}


def test_outputs_of_generate_are_members() -> None:
    body = b'{"model_name":"m","text":"[{ \\"outputs\\"","score":0.1234,"scores":[0.129],"secret":"s","outputs":[1]}'
    rules = Outputs({"text": "answer"}, frozenset({"secret"}), {"score": 1, "scores": 2, "text": 1})
    assert rules.apply(Reply(200, JSON, body)).body == (
        b'{"model_name":"m","answer":"[{ \\"outputs\\"","score":0.1,"scores":[0.13],"outputs":[1]}'
    )


def test_an_error_stays_as_it_is() -> None:
    reply = Reply(400, JSON, b'{"error":"no"}')
    assert Outputs(NONE, frozenset({"error"}), NONE).apply(reply) is reply


def test_what_is_compressed_is_unpacked_first() -> None:
    plain = answer({"a": [1.0], "b": b"12"})
    packed = Reply(200, (*plain.metadata, (b"content-encoding", b"gzip")), gzip.compress(plain.body))
    reply = Outputs(NONE, frozenset({"a"}), NONE).apply(packed)
    assert tensors_of(reply) == {"b": b"12"}
    assert b"content-encoding" not in dict(reply.metadata)


@pytest.mark.parametrize(
    ("metadata", "body"),
    [
        ((), b""),
        ((), b"\x80secret"),
        ((), b'{"outputs":[{"name":"secret"'),
        ((), b'{"outputs":[{"data":[1]}]}'),
        ((), b'{"outputs":[{"name":7}]}'),
        ((), b'{"outputs":[{"name":"a","parameters":{"binary_data_size":4}}]}'),
        ((), b'{"outputs":[{"name":"a","parameters":{"binary_data_size":-4}}]}'),
        ((), b'{"outputs":[{"name":"a","parameters":{"binary_data_size":"x"}}]}'),
        ((), b'{"outputs":[{"name":"a"},7]}'),
        (((LENGTH, b"x"),), b'{"outputs":[{"name":"a"}]}'),
        (((LENGTH, b"99"),), b'{"outputs":[{"name":"a"}]}'),
        (((LENGTH, b"14"),), b'{"outputs":[]}1234'),
        (((LENGTH, b"26"),), b'{"outputs":[{"name":"a"}]}1234'),
        (((b"content-encoding", b"gzip"),), b"secret"),
        (((b"content-encoding", b"br"),), b"secret"),
    ],
)
def test_what_cannot_be_read_is_not_passed_on(metadata: Any, body: bytes) -> None:
    with pytest.raises(UpstreamBroken, match="not passed on"):
        Outputs(NONE, frozenset({"secret"}), NONE).apply(Reply(200, metadata, body))


def test_events_of_a_stream_are_changed_one_by_one() -> None:
    events = Outputs({"a": "z"}, frozenset({"secret"}), {"a": 1}).events()
    assert events.feed(b'data: {"a":0.123,"secret":1}\n\ndata: {"a"') == b'data: {"z":0.1}\n\n'
    assert events.feed(b":1}\n\n") == b'data: {"z":1}\n\n'
    assert events.feed(b'data: {"error":"secret"}\n\n') == b'data: {"error":"secret"}\n\n'
    with pytest.raises(UpstreamBroken, match="not passed on"):
        events.feed(b"data: secret\n")
