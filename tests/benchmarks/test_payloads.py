import json

import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from benchmarks.payloads import KINDS, NULL_HEAD_BYTES, Kind, identity_reply, identity_request, reply, request

INPUTS = {"A": np.array([[1.5, -2.0]], np.float32), "B": np.array([3], np.int32)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [4_000, 600_000])
def test_an_identity_request_is_as_long_as_asked(kind: Kind, size: int) -> None:
    assert abs(len(identity_request(kind, size).body) - size) <= 1


@pytest.mark.parametrize("kind", ["json", "grpc"])
def test_a_small_request_is_about_a_hundred_bytes(kind: Kind) -> None:
    assert 98 <= len(identity_request(kind, 100).body) <= 100


def test_the_grpc_request_is_what_the_official_client_reads() -> None:
    message = request("grpc", "m", INPUTS, ["X"])
    read = service_pb2.ModelInferRequest.FromString(message.body)
    assert read.model_name == "m"
    assert [(i.name, i.datatype, list(i.shape)) for i in read.inputs] == [("A", "FP32", [1, 2]), ("B", "INT32", [1])]
    assert [o.name for o in read.outputs] == ["X"]
    assert list(read.raw_input_contents) == [a.tobytes() for a in INPUTS.values()]


def test_the_grpc_reply_is_what_the_official_client_reads() -> None:
    read = service_pb2.ModelInferResponse.FromString(reply("grpc", "m", INPUTS).body)
    assert (read.model_name, read.model_version) == ("m", "1")
    assert [o.name for o in read.outputs] == ["A", "B"]
    assert list(read.raw_output_contents) == [a.tobytes() for a in INPUTS.values()]


def test_the_grpc_body_on_the_wire_has_its_prefix() -> None:
    message = request("grpc", "m", INPUTS, [])
    assert message.wire[:5] == b"\0" + len(message.body).to_bytes(4, "big")


def test_the_json_request() -> None:
    read = json.loads(request("json", "m", INPUTS, []).body)
    assert read["inputs"][0] == {"name": "A", "shape": [1, 2], "datatype": "FP32", "data": [1.5, -2.0]}


def test_the_binary_request_names_the_length_of_its_head() -> None:
    message = request("binary", "m", INPUTS, ["X"])
    head = json.loads(message.body[: message.head_len])
    assert message.body[message.head_len :] == b"".join(a.tobytes() for a in INPUTS.values())
    assert head["inputs"][0]["parameters"] == {"binary_data_size": 8}
    assert head["outputs"] == [{"name": "X", "parameters": {"binary_data": True}}]
    assert message.headers["inference-header-content-length"] == str(message.head_len)


@pytest.mark.parametrize("size", [4_000, 16_000_000])
def test_every_binary_reply_has_a_head_of_the_same_length(size: int) -> None:
    message = identity_reply("binary", size)
    assert message.head_len == NULL_HEAD_BYTES
    assert json.loads(message.body[:NULL_HEAD_BYTES])["outputs"][0]["name"] == "OUT"
