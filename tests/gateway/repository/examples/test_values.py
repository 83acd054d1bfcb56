import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.repository.description import Tensor
from gateway.repository.examples.values import Value, example_values, requested_outputs
from tests.gateway.repository.examples.models import BINARY_ANSWER, IRIS, model


def sampled(datatype: str, shape: list[int], data: object) -> Value:
    sample = {"name": "x", "datatype": datatype, "shape": shape, "data": data}
    [value] = example_values(model(Tensor("x", datatype, (-1,) * len(shape)), sample=(sample,)))
    return value


def test_the_values_of_the_validation_are_taken_with_the_digits_that_they_need() -> None:
    assert example_values(IRIS) == (Value("x", "FP32", (1, 4), (5.1, 3.5, 1.4, 0.2)),)
    assert sampled("FP16", [1], [0.0999755859375]).data == (0.1,)
    assert sampled("FP64", [1], [1 / 3]).data == (1 / 3,)


def test_nested_data_is_the_same_as_flat() -> None:
    assert sampled("INT32", [2, 2], [[1, 2], [3, 4]]).data == (1, 2, 3, 4)
    assert sampled("INT32", [2, 2], [1, 2, 3, 4]).nested() == [[1, 2], [3, 4]]


def test_what_json_cannot_say_becomes_zero() -> None:
    assert sampled("FP32", [3], [float("nan"), float("inf"), 1]).data == (0.0, 0.0, 1.0)


def test_of_a_long_tensor_only_the_range_stays() -> None:
    value = sampled("INT64", [1, 100], list(range(100, 200)))
    assert (value.data, value.low, value.high) == (None, 100, 199)


def test_without_a_validation_the_values_are_made_up() -> None:
    inputs = (Tensor("ids", "INT64", (-1, 3)), Tensor("t", "BYTES", (-1, 1)), Tensor("rare", "FP32", (1,), True))
    ids, text = example_values(model(*inputs))
    assert (ids.shape, ids.data) == ((1, 3), (1, 1, 1))
    assert text.data == ("text",)


def test_scalars_and_empty_tensors_are_tensors_too() -> None:
    assert Value("x", "FP32", (), (1.5,)).nested() == 1.5
    assert Value("x", "FP32", (2, 0), ()).nested() == []


@pytest.mark.parametrize("datatype", ["BOOL", "INT8", "UINT64", "FP16", "FP32", "FP64"])
def test_binary_data_is_what_numpy_writes(datatype: str) -> None:
    dtype = {"BOOL": "?", "INT8": "i1", "UINT64": "u8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8"}[datatype]
    value = Value("x", datatype, (2,), (1, 0))
    assert value.packed() == np.array([1, 0], dtype).tobytes()
    assert value.size_bytes() == len(value.packed())


def test_strings_carry_their_length() -> None:
    value = Value("x", "BYTES", (2,), ("é", ""))
    assert value.packed() == b"\2\0\0\0\xc3\xa9\0\0\0\0"
    assert value.size_bytes() == 10


@given(st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-(2.0**126), max_value=2.0**126))
def test_bf16_is_rounded_as_others_do(number: float) -> None:
    assert Value("x", "BF16", (1,), (number,)).packed() == np.array([number], "f4").astype(ml_dtypes.bfloat16).tobytes()


def test_outputs_are_requested_only_where_json_does_not_carry_them() -> None:
    assert requested_outputs(IRIS) == {}
    binary = {"binary_data": True}
    assert requested_outputs(BINARY_ANSWER)["outputs"] == [
        {"name": "half", "parameters": binary}, {"name": "out"}, {"name": "brain", "parameters": binary}
    ]  # fmt: skip
