from __future__ import annotations

import numpy as np
import onnx
import pytest

from converters.errors import Unsupported
from converters.graph.opset import CLASSICAL
from converters.to_onnx.lowering.inference import OPERATOR_SET, inferred_types, set_versions, upgraded
from tests.converters.to_onnx.lowering.conftest import Compare, Model

FLOAT, INT64, STRING = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.STRING


@pytest.fixture(params=[18, 13])
def imputed_then_looked_up(request: pytest.FixtureRequest, classical: Model) -> onnx.ModelProto:
    """onnx's own inference, and its conversion of versions, end the process on this model."""
    model = classical("LabelEncoder", FLOAT, version=2, keys_floats=[1.0, 2.0], values_floats=[5.0, 6.0])
    options = {"imputed_value_floats": [2.0], "replaced_value_float": float("nan")}
    imputer = onnx.helper.make_node("Imputer", ["rows"], ["imputed"], name="imputer", domain=CLASSICAL, **options)
    model.graph.node[0].input[0] = "imputed"
    model.graph.node.insert(0, imputer)
    model.graph.node[1].output[0] = "found"
    model.graph.node.append(onnx.helper.make_node("Identity", ["found"], ["output0"]))
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("output0", FLOAT, ["batch", 4]))
    model.opset_import[0].version = request.param
    return model


def test_what_crashes_onnx_is_written_out(compare: Compare, imputed_then_looked_up: onnx.ModelProto) -> None:
    (given,) = compare(imputed_then_looked_up, np.array([[1, np.nan, 2, 1]], np.float32))
    assert given.tolist() == [[5, 6, 6, 5]]


def test_types_follow_through_classical_nodes(imputed_then_looked_up: onnx.ModelProto) -> None:
    types = inferred_types(imputed_then_looked_up)
    assert {name: types[name] for name in ("rows", "imputed", "found")} == dict.fromkeys(
        ("rows", "imputed", "found"), FLOAT
    )


def test_classical_nodes_come_through_an_upgrade_unchanged(imputed_then_looked_up: onnx.ModelProto) -> None:
    before = [node.SerializeToString() for node in imputed_then_looked_up.graph.node if node.domain == CLASSICAL]
    result = upgraded(imputed_then_looked_up)
    assert [node.SerializeToString() for node in result.graph.node if node.domain == CLASSICAL] == before
    assert {entry.domain: entry.version for entry in result.opset_import} == {"": OPERATOR_SET, CLASSICAL: 2}


def test_types_of_labels(classical: Model) -> None:
    options = {"coefficients": [1.0] * 8, "intercepts": [0.0, 1.0]}
    numbered = classical("LinearClassifier", INT64, FLOAT, version=1, classlabels_ints=[0, 1], **options)
    named = classical("LinearClassifier", STRING, FLOAT, version=1, classlabels_strings=["a", "b"], **options)
    for model, kind in ((numbered, INT64), (named, STRING)):
        del model.graph.output[0]
        types = inferred_types(model)
        assert (types["output0"], types["output1"]) == (kind, FLOAT)


def test_operators_that_cannot_be_upgraded(classical: Model) -> None:
    model = classical("Scaler", FLOAT, version=1, offset=[0.0], scale=[1.0])
    model.graph.node.append(onnx.helper.make_node("Gone", ["output0"], ["other"]))
    set_versions(model, ("", 9), (CLASSICAL, 1))
    with pytest.raises(Unsupported, match="operator set 9 cannot be brought to 18"):
        upgraded(model)
