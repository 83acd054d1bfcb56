import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.description import Tensor
from gateway.repository.sample_file import bfloat16, float32_of, inputs_of, read_sample


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sample.npz"


def save(path: Path, **arrays: Any) -> None:
    np.savez(path, **arrays)


def test_a_sample_says_what_the_inputs_are(path: Path) -> None:
    save(path, image=np.zeros((2, 3, 8, 8), np.float32), **{"ids:0": np.zeros((2, 4), np.int64)})
    assert inputs_of(path, batches=None) == (
        Tensor("image", "FP32", (-1, 3, 8, 8)),
        Tensor("ids:0", "INT64", (-1, 4)),
    )


def test_the_first_dimension_is_no_batch_where_somebody_says_so_or_it_differs(path: Path) -> None:
    save(path, a=np.zeros((2, 3), np.uint8), b=np.zeros((2,), bool))
    assert [tensor.shape for tensor in inputs_of(path, batches=False)] == [(2, 3), (2,)]
    save(path, a=np.zeros((2, 3), np.float16), b=np.zeros((1, 3), np.float64))
    assert inputs_of(path, batches=None) == (Tensor("a", "FP16", (2, 3)), Tensor("b", "FP64", (1, 3)))
    save(path, a=np.zeros((2, 3)), b=np.float32(1))
    assert inputs_of(path, batches=None)[1] == Tensor("b", "FP32", ())


def test_text_arrays_are_bytes(path: Path) -> None:
    save(path, a=np.array([["x", "Grüße"]]), b=np.array([[b"x"]]))
    assert inputs_of(path, batches=None) == (Tensor("a", "BYTES", (-1, 2)), Tensor("b", "BYTES", (-1, 1)))
    arrays = read_sample(path, inputs_of(path, batches=None))
    assert arrays["a"].tolist() == [[b"x", "Grüße".encode()]]
    assert arrays["b"].tolist() == [[b"x"]]


def test_python_objects_are_never_unpickled(path: Path) -> None:
    save(path, a=np.array([{"x": 1}], object))
    with pytest.raises(ModelRefused, match=r"sample\.npz: array 'a' holds Python objects, which are never unpickled"):
        inputs_of(path, batches=None)
    with pytest.raises(ModelRefused, match="never unpickled"):
        read_sample(path, (Tensor("a", "BYTES", (1,)),))


def test_an_array_of_what_the_protocol_cannot_carry_is_refused(path: Path) -> None:
    save(path, a=np.zeros(1, np.complex64))
    with pytest.raises(ModelRefused, match="array 'a' holds complex64; save it in another datatype"):
        inputs_of(path, batches=None)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_sample_is_refused_with_how_to_write_one(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ModelRefused, match=r"sample\.npz.*write it with numpy\.savez\('sample\.npz', NAME=array\)"):
        inputs_of(path, batches=None)


def test_a_damaged_array_is_refused(path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(100))
    for damaged in (b"\x93NUMPY", buffer.getvalue()[:200]):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.npy", damaged)
        with pytest.raises(ModelRefused, match=r"sample\.npz: cannot be read"):
            read_sample(path, (Tensor("a", "FP64", (100,)),))


def test_only_headers_are_read_to_know_the_inputs(path: Path) -> None:
    buffer = io.BytesIO()
    form: Any = np.lib.format  # has no types
    form.write_array_header_1_0(buffer, {"shape": (10**12,), "fortran_order": False, "descr": "<f4"})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", buffer.getvalue())
    assert inputs_of(path, batches=False) == (Tensor("a", "FP32", (10**12,)),)


def test_values_are_taken_in_the_models_datatype_where_they_fit(path: Path) -> None:
    save(path, a=np.array([0.5]), b=np.array([7]), c=np.array([1]), d=np.array([0.5]))
    inputs = tuple(Tensor(*each, (1,)) for each in (("a", "FP32"), ("b", "INT8"), ("c", "FP16"), ("d", "BF16")))
    arrays = read_sample(path, inputs)
    assert {name: str(array.dtype) for name, array in arrays.items()} == {
        "a": "float32",
        "b": "int8",
        "c": "float16",
        "d": "uint16",
    }
    assert arrays["d"].tolist() == [0x3F00]


@pytest.mark.parametrize(
    ("array", "datatype"),
    [
        (np.array([0.5]), "INT32"),
        (np.array([300]), "INT8"),
        (np.array([-1]), "UINT8"),
        (np.array([1e6]), "FP16"),
        (np.array([1]), "BYTES"),
        (np.array(["x"]), "FP32"),
        (np.array([1]), "BOOL"),
    ],
)
def test_values_that_would_change_are_refused(path: Path, array: Any, datatype: str) -> None:
    save(path, a=array)
    with pytest.raises(ModelRefused, match=f"array 'a' is .*, the model takes {datatype}; convert it with astype"):
        read_sample(path, (Tensor("a", datatype, (1,)),))


def test_arrays_are_held_against_the_inputs(path: Path) -> None:
    save(path, a=np.zeros((3, 8), np.float32))
    with pytest.raises(ModelRefused, match="array 'a' is no input of the model; inputs: image"):
        read_sample(path, (Tensor("image", "FP32", (-1, 3)),))
    with pytest.raises(ModelRefused, match="there is no array for the input 'b'; add it"):
        read_sample(path, (Tensor("a", "FP32", (3, 8)), Tensor("b", "FP32", (1,))))
    with pytest.raises(ModelRefused, match=r"'a' has the shape \[3, 8\], the model takes \[-1, 3, 9\]"):
        read_sample(path, (Tensor("a", "FP32", (-1, 3, 9)),))
    with pytest.raises(ModelRefused, match=r"it lacks the first dimension: save it as array\[None\]"):
        read_sample(path, (Tensor("a", "FP32", (-1, 3, 8)),))
    assert list(read_sample(path, (Tensor("a", "FP32", (3, 8)), Tensor("b", "FP32", (1,), optional=True)))) == ["a"]


def test_an_empty_array_is_refused(path: Path) -> None:
    save(path, a=np.zeros((0, 3), np.float32))
    with pytest.raises(ModelRefused, match="array 'a' is empty"):
        read_sample(path, (Tensor("a", "FP32", (-1, 3)),))


def test_one_element_serves_a_scalar(path: Path) -> None:
    save(path, a=np.array([16000]))
    assert read_sample(path, (Tensor("a", "INT64", ()),))["a"].shape == ()


def test_bfloat16_is_rounded_to_the_nearest_even() -> None:
    values = np.array([1.0, -2.0, 1.00390625, 1.01171875, np.inf, np.nan], np.float32)
    assert bfloat16(values).tolist() == [0x3F80, 0xC000, 0x3F80, 0x3F82, 0x7F80, 0x7FC0]
    assert bfloat16(np.array(1.0)).shape == ()


def test_bfloat16_is_turned_back() -> None:
    values = np.array([[1.0, -2.0, 0.0]], np.float32)
    assert float32_of(bfloat16(values)).tolist() == values.tolist()
    assert float32_of(bfloat16(np.array(0.5))).shape == ()
