from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.description import Hints, Tensor
from gateway.repository.kinds.onnx_signature import describe
from tests.backends.sample_models import onnx_model

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def softmax(path: Path, axis: int, first: Any, last: Any) -> Path:
    return onnx_model(
        path,
        [onnx.helper.make_node("Softmax", ["x"], ["y"], axis=axis)],
        [("x", "FLOAT", [first, 3])],
        [("y", "FLOAT", [last, 3])],
    )


def test_operator_sets_of_all_domains_are_told(tmp_path: Path) -> None:
    path = softmax(tmp_path / "m.onnx", 1, "n", "n")
    model = onnx.load_model(str(path))
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    model.producer_name, model.producer_version = "pytorch", "2.13.0"
    onnx.save_model(model, str(path))
    description = describe(path, Hints())
    assert description.opset == "ai.onnx 18, com.microsoft 1"
    assert description.origin["producer"] == "pytorch 2.13.0"


def test_a_size_that_only_optimising_settles_is_the_one_that_the_backend_sees(tmp_path: Path) -> None:
    node = onnx.helper.make_node
    path = onnx_model(
        tmp_path / "m.onnx",
        [
            node("Add", ["one", "one"], ["two"]),
            node("Concat", ["two", "two"], ["shape"], axis=0),
            node("Reshape", ["x", "shape"], ["y"]),
        ],
        [("x", "FLOAT", [4])],
        [("y", "FLOAT", ["rows", "columns"])],
        initializer=[onnx.numpy_helper.from_array(np.array([1], np.int64), "one")],
    )
    assert describe(path, Hints()).outputs == (Tensor("y", "FP32", (2, 2)),)


def test_rows_that_change_each_other_are_no_batch(tmp_path: Path) -> None:
    description = describe(softmax(tmp_path / "m.onnx", 0, "n", "m"), Hints())
    assert not description.batches
    assert "rows change each other's results" in description.ambiguous[0]
    assert describe(softmax(tmp_path / "m.onnx", 1, "n", "m"), Hints()).batches


def test_one_tensor_without_a_batch_is_named(tmp_path: Path) -> None:
    path = onnx_model(
        tmp_path / "m.onnx",
        [onnx.helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)],
        [("x", "FLOAT", ["n", 3])],
        [("y", "FLOAT", [])],
    )
    description = describe(path, Hints())
    assert not description.batches
    assert description.ambiguous == ("the model can't batch, since 'y' has the shape [], no batch in front",)


def test_a_model_that_fails_on_made_up_values_is_taken_to_batch(tmp_path: Path) -> None:
    path = onnx_model(
        tmp_path / "m.onnx",
        [onnx.helper.make_node("Gather", ["table", "x"], ["y"])],
        [("x", "INT64", ["n"])],
        [("y", "FLOAT", ["m"])],
        initializer=[onnx.numpy_helper.from_array(np.zeros(0, np.float32), "table")],
    )
    description = describe(path, Hints())
    assert description.batches
    assert "was taken for the batch, as all are of any size" in description.ambiguous[0]


def test_a_sample_decides_where_made_up_values_fail(tmp_path: Path) -> None:
    path = onnx_model(
        tmp_path / "m.onnx",
        [onnx.helper.make_node("Reshape", ["x", "shape"], ["y"])],
        [("x", "FLOAT", ["n", "k"])],
        [("y", "FLOAT", ["m", "j"])],
        initializer=[onnx.numpy_helper.from_array(np.array([-1, 77], np.int64), "shape")],
    )
    np.savez(tmp_path / "sample.npz", x=np.ones((2, 77), np.float32))
    description = describe(path, Hints(sample=tmp_path / "sample.npz"))
    assert (description.batches, description.ambiguous) == (True, ())


def test_datatypes_that_triton_lacks_are_refused(tmp_path: Path) -> None:
    path = onnx_model(
        tmp_path / "m.onnx",
        [onnx.helper.make_node("Identity", ["x"], ["y"])],
        [("x", "FLOAT8E4M3FN", ["n", 3])],
        [("y", "FLOAT8E4M3FN", ["n", 3])],
    )
    model = onnx.load_model(str(path))
    model.opset_import[0].version = 19
    onnx.save_model(model, str(path))
    with pytest.raises(
        ModelRefused, match=r"input 'x' is tensor\(float8e4m3fn\), which Triton cannot carry: .*float32"
    ):
        describe(path, Hints())


def test_many_inputs_with_defaults_are_counted_and_not_listed_all(tmp_path: Path) -> None:
    names = [f"w{number}" for number in range(5)]
    path = onnx_model(
        tmp_path / "m.onnx",
        [onnx.helper.make_node("Sum", ["x", *names], ["y"])],
        [("x", "FLOAT", ["n", 3]), *((name, "FLOAT", [3]) for name in names)],
        [("y", "FLOAT", ["n", 3])],
        initializer=[onnx.numpy_helper.from_array(np.zeros(3, np.float32), name) for name in names],
    )
    assert "w0, w1, w2, ...;" in describe(path, Hints()).ambiguous[0]
    assert describe(path, Hints(batches=False)).inputs[1] == Tensor("w0", "FP32", (3,), optional=True)
