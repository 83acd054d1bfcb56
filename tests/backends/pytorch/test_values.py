from typing import Any

import numpy as np
import pytest

from backends.common.errors import LoadError, RequestError
from backends.pytorch.values import (
    array_of,
    check_scalar_datatype,
    datatype_of,
    scalar_of,
    strings_of,
    tensor_of,
)
from tests.backends.sample_models import VALUES

torch = pytest.importorskip("torch", reason="install the extra 'pytorch'")

DATATYPES = [name for name in VALUES if name != "BYTES"]


@pytest.mark.parametrize("name", DATATYPES)
def test_every_datatype_goes_through(name: str) -> None:
    tensor = tensor_of(torch, VALUES[name], f"TYPE_{name}", "cpu")
    assert datatype_of(tensor.dtype) == f"TYPE_{name}"
    array = array_of(torch, "y", tensor, f"TYPE_{name}")
    assert (array.dtype, array.tolist()) == (VALUES[name].dtype, VALUES[name].tolist())


def test_memory_is_shared_where_pytorch_can() -> None:
    array = np.zeros(3, np.float32)
    tensor_of(torch, array, "TYPE_FP32", "cpu")[0] = 7
    assert array[0] == 7


@pytest.mark.parametrize("array", [np.arange(6, dtype=np.float32)[::2], np.arange(3, dtype=np.float32)])
def test_strided_and_read_only_arrays_are_copied(array: Any) -> None:
    array.flags.writeable = False
    assert tensor_of(torch, array, "TYPE_FP32", "cpu").tolist() == array.tolist()


def test_a_transposed_result_comes_in_order() -> None:
    array = array_of(torch, "y", torch.arange(6).reshape(2, 3).T, "TYPE_INT64")
    assert array.flags.c_contiguous
    assert array.tolist() == [[0, 3], [1, 4], [2, 5]]


@pytest.mark.parametrize(
    ("value", "datatype", "found"),
    [
        (torch.zeros(1, dtype=torch.float64), "TYPE_FP32", "TYPE_FP64"),
        (torch.zeros(1, dtype=torch.complex64), "TYPE_FP32", "torch.complex64"),
        (torch.zeros(1), "TYPE_STRING", "TYPE_FP32"),
        (["one"], "TYPE_FP32", "list"),
        (1.5, "TYPE_FP32", "float"),
    ],
)
def test_another_datatype_than_configured_is_named(value: Any, datatype: str, found: str) -> None:
    with pytest.raises(RequestError, match=f"output 'y' is {found}, but config.pbtxt says {datatype}"):
        array_of(torch, "y", value, datatype)


def test_strings() -> None:
    words = strings_of("x", np.array([b"one", "zwölf".encode()], object))
    assert words == ["one", "zwölf"]
    assert array_of(torch, "y", words, "TYPE_STRING").tolist() == [b"one", "zwölf".encode()]
    assert array_of(torch, "y", [], "TYPE_STRING").shape == (0,)


@pytest.mark.parametrize(
    ("array", "message"),
    [(np.array([[b"a"]], object), "needs one dimension"), (np.array([b"\xff"], object), "bytes that are not UTF-8")],
)
def test_strings_that_the_model_cannot_take(array: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        strings_of("x", array)
    assert caught.value.invalid


@pytest.mark.parametrize(
    ("array", "kind", "value"),
    [
        (np.array([16000]), "int", 16000),
        (np.array([[8], [8]]), "int", 8),
        (np.array([0.5], np.float32), "float", 0.5),
        (np.array([True]), "bool", True),
    ],
)
def test_plain_numbers(array: Any, kind: str, value: Any) -> None:
    number = scalar_of("x", array, kind)
    assert (number, type(number).__name__) == (value, kind)


@pytest.mark.parametrize("array", [np.array([1, 2]), np.zeros(0, np.int64)])
def test_a_plain_number_needs_one_value(array: Any) -> None:
    with pytest.raises(RequestError, match="input 'x' is a plain int to the model and needs one value"):
        scalar_of("x", array, "int")


def test_the_datatype_of_a_plain_number() -> None:
    check_scalar_datatype("rate", "int", "TYPE_INT32")
    with pytest.raises(
        LoadError, match="input 'rate': 'data_type' is TYPE_FP32, but the model's argument is a plain int"
    ):
        check_scalar_datatype("rate", "int", "TYPE_FP32")
