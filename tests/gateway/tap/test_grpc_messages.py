from typing import Any

import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from gateway.tap import grpc_messages
from gateway.tap.datatypes import DecodedRequest, Tensor, Undecodable
from tests.gateway.tap.bodies import floats, grpc_response


def outputs(message: Any) -> tuple[Tensor, ...]:
    return grpc_messages.tensors_of(message.outputs, message.raw_output_contents, "output", "the answer")


def test_raw_contents_are_read() -> None:
    body = grpc_response({"y": floats(1, 2), "t": np.array([b"a"], object)})
    read = outputs(grpc_messages.parsed_response(body, "the answer"))
    assert [(each.name, each.datatype, each.data.tolist()) for each in read] == [
        ("y", "FP32", [[1.0, 2.0]]),
        ("t", "BYTES", [b"a"]),
    ]


def test_typed_contents_are_read() -> None:
    message = service_pb2.ModelInferResponse()
    for datatype, field, values in (
        ("INT8", "int_contents", [-1, 2]), ("UINT64", "uint64_contents", [2**64 - 1, 2]),
        ("BOOL", "bool_contents", [True, False]), ("BYTES", "bytes_contents", [b"a", b"b"]),
    ):  # fmt: skip
        tensor = message.outputs.add(name=datatype, datatype=datatype, shape=[2])
        getattr(tensor.contents, field).extend(values)
    assert [each.data.tolist() for each in outputs(message)] == [[-1, 2], [2**64 - 1, 2], [True, False], [b"a", b"b"]]


def test_what_is_not_in_the_message_is_told() -> None:
    message = service_pb2.ModelInferResponse()
    tensor = message.outputs.add(name="y", datatype="FP16", shape=[1])
    with pytest.raises(Undecodable, match="output 'y' of the answer is 'FP16', which travels in binary only"):
        outputs(message)
    tensor.parameters["shared_memory_region"].string_param = "r"
    with pytest.raises(Undecodable, match="travelled through shared memory"):
        outputs(message)
    message.raw_output_contents.extend([b"", b""])
    with pytest.raises(Undecodable, match="has 1 outputs, and data for 2"):
        outputs(message)


def test_bytes_that_are_no_message_are_told() -> None:
    with pytest.raises(Undecodable, match="the answer is no ModelInferResponse"):
        grpc_messages.parsed_response(b"\xff\xff", "the answer")
    with pytest.raises(Undecodable, match="the request is no ModelInferRequest"):
        grpc_messages.parsed_request(b"\xff\xff", "the request")


def test_a_request_comes_back_as_it_was_written() -> None:
    parameters: dict[str, object] = {"a": True, "b": -3, "c": 2**63, "d": 0.5, "e": "text"}
    tensors = (Tensor("x", "FP32", (1, 2), floats(1, 2)),)
    body = grpc_messages.grpc_request("m", "3", DecodedRequest(tensors, parameters, ("y", "z"), {"z": 5}))
    message = grpc_messages.parsed_request(body, "the request")
    assert (message.model_name, message.model_version) == ("m", "3")
    assert grpc_messages.parameters_of(message) == parameters
    assert grpc_messages.requested(message) == (("y", "z"), {"z": 5})
    [read] = grpc_messages.tensors_of(message.inputs, message.raw_input_contents, "input", "the request")
    assert read.data.tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize("value", [None, [1], 2**64, -(2**63) - 1])
def test_parameters_that_grpc_has_not_are_refused(value: object) -> None:
    with pytest.raises(Undecodable, match="parameter 'p' is"):
        grpc_messages.grpc_request("m", "", DecodedRequest((), {"p": value}, ()))
