from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from converters.data.grpc_request import inputs_over_grpc
from converters.errors import BadData
from tests.converters.data.recordings import bytes_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from tritonclient.grpc import service_pb2

X = np.arange(6, dtype=np.float32).reshape(2, 3)


def request(*inputs: dict[str, Any], raw: tuple[bytes, ...] = ()) -> bytes:
    tensors = [service_pb2.ModelInferRequest.InferInputTensor(**entry) for entry in inputs]
    message: bytes = service_pb2.ModelInferRequest(
        model_name="m", inputs=tensors, raw_input_contents=raw
    ).SerializeToString()
    return message


def test_raw_contents() -> None:
    body = request(
        {"name": "x", "datatype": "FP32", "shape": [2, 3]},
        {"name": "text", "datatype": "BYTES", "shape": [2]},
        raw=(X.tobytes(), bytes_of([b"ab", b""])),
    )
    feeds = inputs_over_grpc(body, "here")
    assert np.array_equal(feeds["x"], X)
    assert feeds["text"].tolist() == [b"ab", b""]


@pytest.mark.parametrize(
    ("datatype", "field", "values"),
    [
        ("BOOL", "bool_contents", [True, False]), ("INT8", "int_contents", [-3, 3]), ("INT32", "int_contents", [-3, 3]),
        ("INT64", "int64_contents", [-(2**40), 1]), ("UINT8", "uint_contents", [0, 255]),
        ("UINT64", "uint64_contents", [2**63, 1]), ("FP32", "fp32_contents", [0.5, 1]),
        ("FP64", "fp64_contents", [0.1, 1]), ("BYTES", "bytes_contents", [b"a", b""]),
    ],
)  # fmt: skip
def test_typed_contents(datatype: str, field: str, values: list[Any]) -> None:
    contents = service_pb2.InferTensorContents(**{field: values})
    feeds = inputs_over_grpc(request({"name": "x", "datatype": datatype, "shape": [2], "contents": contents}), "here")
    assert feeds["x"].tolist() == values


def test_shared_memory_is_not_inside() -> None:
    parameters = {"shared_memory_region": service_pb2.InferParameter(string_param="mine")}
    with pytest.raises(BadData, match="input 'x' of here travelled through shared memory"):
        inputs_over_grpc(request({"name": "x", "datatype": "FP32", "shape": [1], "parameters": parameters}), "here")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"\xff\xff\xff", "no ModelInferRequest"),
        (request({"name": "x", "datatype": "FP32", "shape": [1]}, raw=(b"1234", b"")), "has 1 inputs, and data for 2"),
        (request({"name": "x", "datatype": "FP16", "shape": [1]}), "is FP16, which travels in binary only"),
        (request({"name": "x", "datatype": "FP32", "shape": [2]}, raw=(b"1234",)), "FP32 [2] needs 8"),
        (request({"name": "x", "datatype": "FP32", "shape": [2]}), "has 0 elements"),
    ],
)
def test_what_cannot_be_decoded(body: bytes, told: str) -> None:
    with pytest.raises(BadData) as caught:
        inputs_over_grpc(body, "here")
    assert told in str(caught.value)
