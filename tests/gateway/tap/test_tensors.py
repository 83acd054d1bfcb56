import contextlib
import gzip
import json
from typing import Any, Literal

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2

from gateway.tap.exchange import Answer
from gateway.tap.tensors import (
    DecodedRequest,
    Tensor,
    Undecodable,
    answer_tensors,
    asked_classes,
    failure,
    generate_request,
    grpc_request,
    http_request,
    request_tensors,
)
from tests.gateway.tap.bodies import answer, exchange, floats, grpc_response, http_body, refusal

ASKED = DecodedRequest((Tensor("x", "FP32", (1, 2), floats(1, 2)),), {"priority": 1}, ("y",), {"y": 2})


def test_requests_of_both_protocols_say_the_same() -> None:
    body, length = http_request(ASKED)
    over_http = request_tensors(exchange(request=body, header_length=length))
    over_grpc = request_tensors(exchange(protocol="grpc", request=grpc_request("m", "", ASKED), header_length=None))
    for read in (over_http, over_grpc):
        assert [(each.name, each.data.tolist()) for each in read.tensors] == [("x", [[1.0, 2.0]])]
        assert (read.outputs, read.classification, read.generate) == (("y",), {"y": 2}, False)
        assert read.parameters["priority"] == 1


def test_generate_requests_are_told_from_inference() -> None:
    asked = request_tensors(exchange(request=b'{"text_input":"a","parameters":{"n":1}}', header_length=None))
    assert asked.generate
    assert [each.name for each in asked.tensors] == ["text_input"]
    assert json.loads(generate_request(asked)) == {"text_input": "a", "parameters": {"n": 1}}
    plain = b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[1]}]}'
    assert not request_tensors(exchange(request=plain, header_length=None)).generate


def test_a_raw_request_says_too_little() -> None:
    with pytest.raises(Undecodable, match="the request is raw"):
        request_tensors(exchange(request=b"abcd", header_length=0))


def test_answers_of_both_protocols_say_the_same() -> None:
    arrays = {"y": floats(1, 2), "t": np.array([b"a"], object)}
    over_http, over_grpc = answer(arrays), Answer("m", "m", "", 0, grpc_response(arrays), None, "", "", 0.0)
    packed = msgspec.structs.replace(over_http, body=gzip.compress(over_http.body), encoding="gzip")
    for protocol, told in (("http", over_http), ("http", packed), ("grpc", over_grpc)):
        read = answer_tensors(protocol, told)  # type: ignore[arg-type]  # a literal in a tuple
        assert [(each.name, each.datatype, each.data.tolist()) for each in read] == [
            ("y", "FP32", [[1.0, 2.0]]),
            ("t", "BYTES", [b"a"]),
        ]


def test_a_generate_answer_has_its_members() -> None:
    told = Answer("m", "m", "", 200, b'{"model_name":"m","text_output":"hi"}', None, "", "", 0.0)
    assert [(each.name, each.data.item()) for each in answer_tensors("http", told)] == [("text_output", b"hi")]


def test_errors_are_told_with_their_codes() -> None:
    assert failure("http", answer({})) == ""
    assert failure("http", refusal(503, "busy")) == "HTTP 503 busy"
    assert failure("http", Answer("m", "m", "", 502, b"<html>", None, "", "", 0.0)) == "HTTP 502 <html>"
    assert failure("grpc", Answer("m", "m", "", 14, b"", None, "", "gone", 0.0)) == "gRPC 14 gone"
    assert failure("grpc", Answer("m", "m", "", 0, b"", None, "", "", 0.0)) == ""
    with pytest.raises(Undecodable, match="the answer is an error: HTTP 503 busy"):
        answer_tensors("http", refusal(503, "busy"))
    packed = gzip.compress(b"<html>")
    assert failure("http", Answer("m", "m", "", 502, packed, None, "gzip", "", 0.0)) == "HTTP 502"
    assert failure("http", Answer("m", "m", "", 502, b'{"error":[1]}', None, "", "", 0.0)) == "HTTP 502"


def test_classes_are_known_though_the_tensors_are_not() -> None:
    body, length = http_request(ASKED)
    assert asked_classes(exchange(request=body, header_length=length)) == {"y": 2}
    shared = body[:length].replace(b"binary_data_size", b"shared_memory_region")
    assert asked_classes(exchange(request=shared, header_length=len(shared))) == {"y": 2}
    message = grpc_request("m", "", ASKED)
    assert asked_classes(exchange(protocol="grpc", request=message, header_length=None)) == {"y": 2}
    assert asked_classes(exchange(request=b"raw", header_length=0)) == {}
    assert asked_classes(exchange(protocol="grpc", request=b"\xff", header_length=None)) == {}


ARRAYS = {"y": floats(1, 2), "t": np.array([b"a", b"bc"], object), "n": np.array([[1], [2]], np.int32)}
SHAPES = st.lists(st.integers(-2, 2**70) | st.sampled_from([0, 1, 2**31, 2**62, 2**63 - 1]), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
TYPES = st.sampled_from(["FP32", "INT64", "BYTES", "BF16", "BOOL", "FP8", ""])
TENSORS = st.fixed_dictionaries(
    {"name": st.just("y") | JSON, "datatype": TYPES | JSON, "shape": SHAPES | JSON},
    optional={
        "data": st.lists(st.just(1), max_size=3) | JSON,
        "parameters": st.fixed_dictionaries({"binary_data_size": st.integers(-1, 20) | JSON}) | JSON,
    },
)


def nothing_else_escapes(
    protocol: Literal["http", "grpc"], body: bytes, length: int | None, encoding: str = ""
) -> None:
    told = Answer("m", "m", "", 200, body, length, encoding, "", 0.0)
    asked = exchange(protocol=protocol, request=body, header_length=length)
    with contextlib.suppress(Undecodable):
        for tensor in answer_tensors(protocol, told):
            assert tensor.data.shape == tensor.shape
    with contextlib.suppress(Undecodable):
        request_tensors(asked)
    asked_classes(asked)
    failure(protocol, msgspec.structs.replace(told, status=500))


@given(st.binary(max_size=60), st.sampled_from(["http", "grpc"]), st.none() | st.integers(0, 80))
def test_garbage_is_never_more_than_undecodable(body: bytes, protocol: Any, length: int | None) -> None:
    for encoding in ("", "gzip", "deflate", "br"):
        nothing_else_escapes(protocol, body, length, encoding)


@given(st.data(), st.sampled_from(["http", "grpc"]))
def test_what_was_valid_before_a_byte_was_changed(data: st.DataObject, protocol: Any) -> None:
    body, length = http_body(ARRAYS, data.draw(st.sampled_from(["inputs", "outputs"])))
    changed = bytearray(grpc_response(ARRAYS) if protocol == "grpc" else body)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    del changed[data.draw(st.integers(len(changed) // 2, len(changed))) :]
    nothing_else_escapes(protocol, bytes(changed), length if protocol == "http" else None)


@given(st.lists(TENSORS, max_size=3) | JSON, JSON, st.binary(max_size=20), st.booleans())
def test_heads_that_say_anything(tensors: Any, parameters: Any, blobs: bytes, head_only: bool) -> None:
    for place in ("inputs", "outputs"):
        text = json.dumps({place: tensors, "parameters": parameters, "error": parameters}).encode()
        nothing_else_escapes("http", text if head_only else text + blobs, None if head_only else len(text))


@given(TYPES, st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 2), max_size=40), st.binary(max_size=9))
def test_messages_that_say_anything(datatype: str, shape: list[int], content: bytes) -> None:
    reply, asked = service_pb2.ModelInferResponse(), service_pb2.ModelInferRequest()
    reply.outputs.add(name="y", datatype=datatype, shape=shape)
    asked.inputs.add(name="y", datatype=datatype, shape=shape)
    nothing_else_escapes("grpc", reply.SerializeToString(), None)
    reply.raw_output_contents.append(content)
    asked.raw_input_contents.append(content)
    nothing_else_escapes("grpc", reply.SerializeToString(), None)
    nothing_else_escapes("grpc", asked.SerializeToString(), None)


@pytest.mark.parametrize("depth", [300, 900, 980, 990, 995, 5000])
@pytest.mark.parametrize("where", ["name", "datatype", "shape", "data", "binary_data_size", "member"])
def test_depth_is_no_danger(depth: int, where: str) -> None:
    deep = "[" * depth + "]" * depth
    said = {"name": '"y"', "datatype": '"FP32"', "shape": "[1]", "data": "[1]", "binary_data_size": "null"}
    said[where] = deep
    tensor = "{{{}}}".format(",".join(f'"{key}":{value}' for key, value in said.items() if key != "binary_data_size"))
    tensor = f'{tensor[:-1]},"parameters":{{"binary_data_size":{said["binary_data_size"]}}}}}'
    for place in ("inputs", "outputs"):
        text = f'{{"{place}":[{tensor}]}}' if where != "member" else f'{{"y":{deep},"error":{deep}}}'
        nothing_else_escapes("http", text.encode(), None)


def test_more_json_than_fits_into_memory_is_not_read() -> None:
    bomb = gzip.compress(b'{"y":[' + b"[]," * 2**24 + b"1]}", 1)
    with pytest.raises(Undecodable, match="has 48 MiB of JSON, the most are 32; send it in binary"):
        answer_tensors("http", Answer("m", "m", "", 200, bomb, None, "gzip", "", 0.0))
