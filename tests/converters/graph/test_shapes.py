import numpy as np
import pytest
from onnx import helper

from converters.errors import Unsupported
from converters.graph import shapes
from converters.graph.shapes import inferred, is_large, weights_of
from tests.converters.framework_models import onnx_model


def test_shapes_inside_the_graph_are_inferred_and_the_model_stays() -> None:
    model = onnx_model(("batch", 3))
    result = inferred(model)
    assert [value.name for value in result.graph.value_info] == ["sum"]
    assert result.graph.value_info[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert not model.graph.value_info


def test_a_graph_without_operator_sets_is_refused() -> None:
    model = onnx_model()
    del model.opset_import[:]
    with pytest.raises(Unsupported, match="shape inference: the graph's shapes cannot be inferred"):
        inferred(model)


def test_a_model_over_the_limit_is_inferred_without_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    model = onnx_model(("batch", 20_000))
    weight = np.arange(20_000, dtype=np.float32)
    model.graph.initializer[0].CopyFrom(helper.make_tensor("one", 1, [20_000], weight.tobytes(), raw=True))
    before = model.SerializeToString(deterministic=True)
    monkeypatch.setattr(shapes, "LARGEST", 1000)
    assert is_large(model)
    result = inferred(model)
    assert [value.name for value in result.graph.value_info] == ["sum"]
    assert result.graph.initializer[0] == model.graph.initializer[0]
    assert model.SerializeToString(deterministic=True) == before


def test_weights_are_found_in_constants_too() -> None:
    model = onnx_model()
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=helper.make_tensor("c", 1, [1], [1.0])))
    assert [tensor.name for tensor in weights_of(model)] == ["one", "c"]
    assert not is_large(model)
