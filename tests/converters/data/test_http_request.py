from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from converters.data.http_request import inputs_over_http
from converters.errors import BadData
from tests.converters.data.recordings import binary, http_body

X = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_all_json() -> None:
    body, _ = http_body([{"name": "x", "datatype": "FP32", "shape": [2, 3], "data": X.tolist()}])
    assert np.array_equal(inputs_over_http(body, None, "here")["x"], X)


def test_binary_tensors_in_the_order_of_the_head_mixed_with_json() -> None:
    x, x_bytes = binary("x", "FP32", X)
    text, text_bytes = binary("text", "BYTES", np.array([b"ab", b""], object))
    plain = {"name": "n", "datatype": "INT64", "shape": [1], "data": [7], "parameters": {"mine": 1}}
    body, length = http_body([x, plain, text], x_bytes, text_bytes)
    feeds = inputs_over_http(body, length, "here")
    assert np.array_equal(feeds["x"], X)
    assert feeds["n"].tolist() == [7]
    assert feeds["text"].tolist() == [b"ab", b""]


def refused(body: bytes, length: int | None) -> str:
    with pytest.raises(BadData) as caught:
        inputs_over_http(body, length, "here")
    assert "here" in str(caught.value)
    return str(caught.value)


def test_lengths_that_lie() -> None:
    x, blob = binary("x", "FP32", X)
    body, length = http_body([x], blob)
    assert "ends inside its JSON head" in refused(body[:20], length)
    assert "input 'x' of here ends too early" in refused(body[:-1], length)
    assert "has 1 bytes more than its inputs" in refused(body + b"!", length)
    assert "raw request" in refused(b"1234", 0)


@pytest.mark.parametrize(
    "head",
    [
        b"", b"not json", b"[]", b"{}", b"null", b'{"inputs": 3}', b'{"inputs": [3]}', b'{"inputs": [{"name": "x"}]}',
        b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": 3}]}', b"[" * 100_000, b"\xff\xfe",
    ],
)  # fmt: skip
def test_what_is_no_request(head: bytes) -> None:
    assert "no JSON of an inference request" in refused(head, None)


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"shared_memory_region": "mine"}, "shared memory"),
        ({"binary_data_size": -1}, "impossible binary_data_size -1"),
        ({"binary_data_size": "4"}, "impossible binary_data_size '4'"),
        ({}, "has no data"),
        ([1], "parameters that are no object"),
    ],
)
def test_tensors_that_are_not_inside(parameters: Any, told: str) -> None:
    entry = {"name": "x", "datatype": "FP32", "shape": [1], "parameters": parameters}
    assert told in refused(json.dumps({"inputs": [entry]}).encode(), None)
