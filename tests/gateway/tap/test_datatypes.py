import contextlib
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tap.datatypes import Tensor, Undecodable, from_bytes, from_list, to_bytes

NUMPY = {
    "BOOL": np.bool_, "INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64, "UINT8": np.uint8,
    "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64, "FP16": np.float16, "FP32": np.float32,
    "FP64": np.float64,
}  # fmt: skip


@pytest.mark.parametrize("datatype", NUMPY)
def test_numbers_come_back_as_they_were(datatype: str) -> None:
    array = np.array([[0, 1, 2], [3, 4, 5]]).astype(NUMPY[datatype])
    read = from_bytes(array.tobytes(), datatype, (2, 3), "x")
    assert read.dtype == array.dtype
    assert np.array_equal(read, array)
    assert to_bytes(Tensor("x", datatype, (2, 3), read)) == array.tobytes()


@pytest.mark.parametrize("datatype", sorted(NUMPY.keys() - {"FP16"}))
def test_lists_are_read_flat_and_nested(datatype: str) -> None:
    array = np.array([[0, 1], [1, 0]]).astype(NUMPY[datatype])
    assert np.array_equal(from_list(array.tolist(), datatype, (2, 2), "x"), array)
    assert np.array_equal(from_list(array.reshape(-1).tolist(), datatype, (2, 2), "x"), array)
    assert from_list([], datatype, (0, 2), "x").shape == (0, 2)


def test_the_largest_integers_stay_exact() -> None:
    assert from_list([2**64 - 1, 1], "UINT64", (2,), "x").tolist() == [2**64 - 1, 1]
    assert from_list([-(2**63), 2**53 + 1], "INT64", (2,), "x").tolist() == [-(2**63), 2**53 + 1]


def test_bf16_is_read_as_float32_and_rounded_to_even() -> None:
    array = np.array([1.0, -2.5, 1.00390625, 1.01171875, np.inf, np.nan], np.float32)
    read = from_bytes(to_bytes(Tensor("x", "BF16", (6,), array)), "BF16", (6,), "x")
    assert read.dtype == np.float32
    assert read[:5].tolist() == [1.0, -2.5, 1.0, 1.015625, np.inf]
    assert np.isnan(read[5])


@given(st.lists(st.binary(max_size=20), max_size=8))
def test_texts_come_back_as_they_were(texts: list[bytes]) -> None:
    array = np.empty(len(texts), object)
    array[:] = texts
    content = to_bytes(Tensor("x", "BYTES", (len(texts),), array))
    assert from_bytes(memoryview(content), "BYTES", (len(texts),), "x").tolist() == texts


@given(st.binary(max_size=40))
def test_garbage_is_texts_or_refused(content: bytes) -> None:
    with contextlib.suppress(Undecodable):
        assert from_bytes(content, "BYTES", (2,), "x").shape == (2,)


def test_texts_of_json_become_bytes() -> None:
    assert from_list(["grün", "\ud800"], "BYTES", (2,), "x").tolist() == ["grün".encode(), b"\xed\xa0\x80"]


@pytest.mark.parametrize(
    ("data", "datatype", "shape", "said"),
    [
        ([1.5], "INT32", (1,), "is INT32, and holds something else"),
        ([-1], "UINT64", (1,), "numbers beyond it"),
        ([300], "UINT8", (1,), "numbers beyond it"),
        ([10**400], "FP64", (1,), "numbers beyond it"),
        ([1], "BOOL", (1,), "is BOOL, and holds something else"),
        (["1"], "FP32", (1,), "is FP32, and holds something else"),
        ([None], "FP32", (1,), "is FP32, and holds something else"),
        ([1], "BYTES", (1,), "something else than texts"),
        ([1, 2], "FP32", (3,), r"has 2 elements; its shape says \[3\]"),
        (["a"], "BYTES", (2,), r"has 1 elements; its shape says \[2\]"),
        ([1], "FP16", (1,), "travels in binary only"),
        ([1], "FP8", (1,), "unknown datatype 'FP8'"),
        ([1], "FP32", (-1,), "impossible shape"),
        ([1], "FP32", (True,), "impossible shape"),
        ([], "FP32", (2**62, 0), "impossible shape"),
        ([], "FP32", (2**40, 0, 2**40), "larger than any memory"),
        ([], "BYTES", (2**30, 2**30), "larger than any memory"),
        ([1], "FP32", (1,) * 33, "has 33 dimensions; the most are 32"),
    ],
)
def test_lists_that_are_not_what_they_say_are_refused(data: Any, datatype: str, shape: Any, said: str) -> None:
    with pytest.raises(Undecodable, match=said):
        from_list(data, datatype, shape, "output 'y'")


@pytest.mark.parametrize(
    ("content", "datatype", "said"),
    [
        (b"\0" * 7, "FP32", r"has 7 bytes; FP32 \[2\] needs 8"),
        (b"\0" * 8, "BF16", r"has 8 bytes; BF16 \[2\] needs 4"),
        (b"\1\0\0\0a", "BYTES", r"has 1 elements; its shape says \[2\]"),
        (b"\x09\0\0\0a", "BYTES", "ends inside an element"),
        (b"\1\0", "BYTES", "ends inside an element"),
    ],
)
def test_bytes_that_are_not_what_they_say_are_refused(content: bytes, datatype: str, said: str) -> None:
    with pytest.raises(Undecodable, match=said):
        from_bytes(content, datatype, (2,), "output 'y'")


def test_depth_is_no_danger() -> None:
    data = json.loads("[" * 500 + "1" + "]" * 500)
    assert from_list(data, "INT64", (1,), "x").tolist() == [1]


@pytest.mark.parametrize("datatype", ["BYTES", "BF16", "FP64", "INT8"])
def test_the_largest_shapes_are_only_refused_for_what_they_lack(datatype: str) -> None:
    with pytest.raises(Undecodable, match=r"needs|has 0 elements"):
        from_bytes(b"", datatype, (2**59,), "x")
    assert from_bytes(b"", datatype, (2**59, 0), "x").shape == (2**59, 0)
    assert from_bytes(b"\0" * 8, "FP64", (1,) * 32, "x").ndim == 32
