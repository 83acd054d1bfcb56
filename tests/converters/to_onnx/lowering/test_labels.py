from __future__ import annotations

import numpy as np
import onnx
import pytest

from converters.errors import Unsupported
from converters.to_onnx.lowering.labels import class_labels, note_labels
from converters.to_onnx.lowering.tensor_operators import TensorOperatorsFromOnnx
from tests.converters.to_onnx.lowering.conftest import Model, results

FLOAT, STRING = onnx.TensorProto.FLOAT, onnx.TensorProto.STRING


@pytest.fixture
def named(classical: Model) -> onnx.ModelProto:
    """A classifier whose labels are text, with what scikit-learn's converter puts behind it."""
    model = classical(
        "LinearClassifier", STRING, FLOAT, version=1, coefficients=[1.0] * 4 + [-1.0] * 4 + [0.0] * 4,
        intercepts=[0.0, 0.0, 0.5], classlabels_strings=["grün", "red", "blue"],
    )  # fmt: skip
    model.graph.node.append(onnx.helper.make_node("Reshape", ["output0", "shape"], ["moved"]))
    model.graph.node.append(onnx.helper.make_node("Cast", ["moved"], ["label"], to=STRING))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([-1]), "shape"))
    model.graph.output[0].name = "label"
    return model


def test_text_labels_become_indices_with_the_labels_in_the_metadata(named: onnx.ModelProto) -> None:
    lowered = TensorOperatorsFromOnnx(named)()
    onnx.checker.check_model(lowered, full_check=True)
    labels = class_labels(lowered)
    assert labels == {"label": ("grün", "red", "blue")}
    rows = np.random.default_rng(1).normal(size=(40, 4)).astype(np.float32)
    indices = results(lowered, rows)[0]
    assert indices.dtype == np.int64
    assert [labels["label"][index] for index in indices] == results(named, rows)[0].tolist()


def test_labels_taken_by_index_from_a_list(classical: Model) -> None:
    model = classical(
        "ArrayFeatureExtractor",
        STRING,
        version=1,
        constants=[np.array(["no", "yes"], dtype=object)],
        kind=7,
        features=1,
    )
    model.graph.node[0].input[:] = ["constant0", "rows"]
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("output0", STRING, [1, "batch"]))
    lowered = TensorOperatorsFromOnnx(model)()
    rows = np.array([[1], [0], [1]])
    assert class_labels(lowered) == {"output0": ("no", "yes")}
    assert results(model, rows)[0].tolist() == [["yes", "no", "yes"]]
    assert results(lowered, rows)[0].tolist() == [[1, 0, 1]]


def test_other_work_with_text_is_refused(named: onnx.ModelProto) -> None:
    named.graph.node[-1].CopyFrom(onnx.helper.make_node("Equal", ["moved", "moved"], ["label"], name="same"))
    with pytest.raises(Unsupported, match=r"node same \(Equal\): it works with text"):
        TensorOperatorsFromOnnx(named)()


def test_outputs_without_text_are_left_alone(classical: Model) -> None:
    model = classical("Scaler", FLOAT, version=1, offset=[0.0], scale=[1.0])
    note_labels(model, {"another": ("a", "b")})
    assert class_labels(model) == {}
    assert model.graph.output[0].type.tensor_type.elem_type == FLOAT
