"""Answers and requests as Triton writes and reads them, for tests: made with its own client's descriptors."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from tritonclient.grpc import service_pb2

from gateway.tap.exchange import Answer, Exchange

Arrays = dict[str, Any]
NAMES = {
    "?": "BOOL",
    "b": "INT8",
    "i": "INT32",
    "q": "INT64",
    "l": "INT64",
    "B": "UINT8",
    "e": "FP16",
    "f": "FP32",
    "d": "FP64",
}


def binary(array: Any) -> bytes:
    if array.dtype == object:
        return b"".join(len(each).to_bytes(4, "little") + each for each in array.flat)
    return bytes(array.tobytes())


def datatype(array: Any) -> str:
    return "BYTES" if array.dtype == object else NAMES[array.dtype.char]


def http_body(arrays: Arrays, place: str = "outputs", **members: Any) -> tuple[bytes, int]:
    blobs = [binary(array) for array in arrays.values()]
    head = members | {
        place: [
            {
                "name": name,
                "datatype": datatype(array),
                "shape": list(array.shape),
                "parameters": {"binary_data_size": len(blob)},
            }
            for (name, array), blob in zip(arrays.items(), blobs, strict=True)
        ]
    }
    text = json.dumps(head).encode()
    return text + b"".join(blobs), len(text)


def grpc_response(arrays: Arrays) -> bytes:
    message = service_pb2.ModelInferResponse(model_name="m")
    for name, array in arrays.items():
        message.outputs.add(name=name, datatype=datatype(array), shape=array.shape)
        message.raw_output_contents.append(binary(array))
    return bytes(message.SerializeToString())


def answer(arrays: Arrays, target: str = "m", seconds: float = 0.01, version: str = "") -> Answer:
    body, length = http_body(arrays)
    return Answer(target, target, version, 200, body, length, "", "", seconds)


def refusal(status: int, error: str, target: str = "m") -> Answer:
    return Answer(target, target, "", status, json.dumps({"error": error}).encode(), None, "", "", 0.01)


def exchange(*answers: Answer, **changed: Any) -> Exchange:
    body, length = http_body({"x": np.ones((1, 3), np.float32)}, "inputs")
    said: dict[str, Any] = {
        "purpose": "compare",
        "route": "ocr",
        "mirror": "ocr-2",
        "epoch": "",
        "protocol": "http",
        "model": "ocr",
        "version": "",
        "request_id": "r1",
        "tenant": "t",
        "arrived": 1_790_000_000 * 10**9,
        "request": body,
        "header_length": length,
        "answers": answers,
    }
    return Exchange(**(said | changed))


def floats(*values: float) -> Any:
    return np.array([values], np.float32)


def pair(expected: Arrays, got: Arrays, **changed: Any) -> Exchange:
    return exchange(answer(expected), answer(got, "n"), **changed)
