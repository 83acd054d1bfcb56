from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from converters.data.decode import from_bytes, from_list
from converters.errors import BadData
from tests.converters.data.recordings import bytes_of


@pytest.mark.parametrize(
    ("datatype", "dtype"),
    [("FP32", np.float32), ("INT64", np.int64), ("BOOL", np.bool_), ("FP16", np.float16), ("BF16", ml_dtypes.bfloat16)],
)
def test_binary(datatype: str, dtype: Any) -> None:
    array = np.array([[0, 1, 0], [1, 1, 0]]).astype(dtype)
    result = from_bytes(array.tobytes(), datatype, [2, 3], "here")
    assert result.dtype == array.dtype
    assert np.array_equal(result, array)


def test_binary_strings() -> None:
    elements = [b"", b"caf\xc3\xa9", b"\x00\xff"]
    assert from_bytes(bytes_of(elements), "BYTES", [3, 1], "here").tolist() == [[element] for element in elements]


@pytest.mark.parametrize(
    ("content", "datatype", "shape", "told"),
    [
        (b"1234", "FP32", [2], "here has 4 bytes, and FP32 [2] needs 8"),
        (b"1234", "FP8", [1], "unknown datatype 'FP8'"),
        (b"1234", "FP32", [-1], "impossible shape [-1]"),
        (b"1234", "FP32", [True], "impossible shape"),
        (b"\x05\x00\x00\x00abc", "BYTES", [1], "ends inside an element"),
        (b"\x05\x00", "BYTES", [1], "ends inside an element"),
        (b"\x01\x00\x00\x00a", "BYTES", [2], "has 1 elements, and its shape says [2]"),
    ],
)
def test_binary_that_does_not_fit(content: bytes, datatype: str, shape: list[int], told: str) -> None:
    with pytest.raises(BadData) as caught:
        from_bytes(content, datatype, shape, "here")
    assert told in str(caught.value)


def test_lists_flat_or_nested() -> None:
    for data in ([1, 2, 3, 4], [[1, 2], [3, 4]], [1, [2, [3]], 4]):
        assert from_list(data, "INT32", [2, 2], "here").tolist() == [[1, 2], [3, 4]]
    assert from_list(["a", b"b"], "BYTES", [2], "here").tolist() == [b"a", b"b"]
    assert from_list([1, 2.5], "FP32", [2], "here").dtype == np.float32
    assert from_list([2**63], "UINT64", [1], "here").tolist() == [2**63]
    assert from_list([True], "BOOL", [1], "here").dtype == np.bool_
    assert from_list([], "INT8", [0], "here").shape == (0,)


def test_deeply_nested_lists_end() -> None:
    data: Any = 7
    for _ in range(50_000):
        data = [data]
    assert from_list(data, "INT32", [1], "here").tolist() == [7]


@pytest.mark.parametrize(
    ("data", "datatype", "told"),
    [
        ([1, 2, 3], "INT32", "has 3 elements, and its shape says [2]"),
        ([1.5, 2], "INT32", "is INT32, and holds 1.5"),
        ([True, 1], "INT32", "holds True"),
        ([300, 1], "UINT8", "numbers beyond UINT8"),
        (["a", 1], "FP32", "holds 'a'"),
        (["a", 1], "BYTES", "something else than strings"),
        ([1, 2], "FP16", "travels in binary only"),
        ([None, 1], "FP32", "holds None"),
        ([1, 2], "INT4", "unknown datatype 'INT4'"),
    ],
)
def test_lists_that_do_not_fit(data: Any, datatype: str, told: str) -> None:
    with pytest.raises(BadData) as caught:
        from_list(data, datatype, [2], "here")
    assert told in str(caught.value)
