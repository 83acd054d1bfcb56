from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from converters.data.decode import from_bytes
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
    assert from_bytes(bytes_of(np.array(elements, object)), "BYTES", [3, 1], "here").tolist() == [
        [element] for element in elements
    ]


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
