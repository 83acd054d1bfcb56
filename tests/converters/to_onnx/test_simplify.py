import logging

import numpy as np
import onnx
import onnxslim
import pytest
from onnx import helper

from converters.errors import BadSource, Unsupported
from converters.graph import shapes
from converters.graph.signature import signature_of
from converters.to_onnx.simplify import SimplifiedFromOnnx, note_of
from tests.converters.framework_models import answers, onnx_model


def with_dead_weight() -> onnx.ModelProto:
    """relu(x + (1 + 1 - 1)) through nodes that do nothing."""
    model = onnx_model(("?", 3))
    model.graph.node[0].input[1] = "still_one"
    nodes = [
        helper.make_node("Add", ["one", "one"], ["two"]),
        helper.make_node("Sub", ["two", "one"], ["still_one"]),
        *model.graph.node,
    ]
    nodes[-1].output[0] = "before"
    nodes.append(helper.make_node("Identity", ["before"], ["y"]))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


@pytest.mark.parametrize("batch", [1, 3])
def test_constants_are_folded_and_the_answer_stays(batch: int) -> None:
    source = with_dead_weight()
    model = SimplifiedFromOnnx(source)()
    assert [node.op_type for node in model.graph.node] == ["Add", "Relu"]
    assert all(node.name for node in model.graph.node)
    x = np.random.default_rng(0).normal(size=(batch, 3)).astype(np.float32)
    assert answers(model, {"x": x})["y"].tolist() == answers(source, {"x": x})["y"].tolist()


def test_the_model_given_stays_and_the_result_says_what_simplified_it() -> None:
    source = with_dead_weight()
    onnx.helper.set_model_props(source, {"author": "me"})
    before = source.SerializeToString(deterministic=True)
    model = SimplifiedFromOnnx(lambda: source)()
    assert source.SerializeToString(deterministic=True) == before
    assert note_of(source) == ""
    assert note_of(model) == f"onnxslim {onnxslim.__version__}"
    assert {entry.key for entry in model.metadata_props} == {"author", "triton-convert.simplified"}
    assert [str(each) for each in signature_of(model).inputs] == ["x: FP32 [batch, 3]"]
    assert SimplifiedFromOnnx(model)().graph == model.graph


def broken(model: onnx.ModelProto) -> onnx.ModelProto:
    model.graph.node[0].input[0] = "nowhere"
    return model


def batch_fixed(model: onnx.ModelProto) -> onnx.ModelProto:
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 1
    return model


def input_renamed(model: onnx.ModelProto) -> onnx.ModelProto:
    model.graph.input[0].name = model.graph.node[0].input[0] = "z"
    return model


def output_lost(model: onnx.ModelProto) -> onnx.ModelProto:
    model.graph.output[0].name = "sum"
    return model


def crashed(model: onnx.ModelProto) -> onnx.ModelProto:
    raise IndexError("list index out of range")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (broken, "onnxslim fails on it"),
        (crashed, "onnxslim fails on it: list index out of range"),
        (batch_fixed, "onnxslim changes the outputs from y: FP32 [batch, 3] to y: FP32 [1, 3]"),
        (input_renamed, "onnxslim changes the inputs from x: FP32 [batch, 3] to z: FP32 [batch, 3]"),
        (output_lost, "onnxslim changes the outputs"),
    ],
)  # fmt: skip
def test_damage_by_onnxslim_leaves_the_model_unsimplified(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, damage: object, told: str
) -> None:
    monkeypatch.setattr(onnxslim, "slim", damage)
    with caplog.at_level(logging.WARNING):
        model = SimplifiedFromOnnx(onnx_model())()
    assert [node.op_type for node in model.graph.node] == ["Add", "Relu"]
    assert note_of(model).startswith(f"no: {told}")
    assert told in caplog.text
    assert answers(model, {"x": np.zeros((2, 3), np.float32)})["y"].shape == (2, 3)


def test_a_model_over_the_limit_is_left_unsimplified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "LARGEST", 3)
    assert note_of(SimplifiedFromOnnx(onnx_model())()) == "no: it is larger than 2 GB"


def test_a_dynamic_rank_is_refused() -> None:
    model = onnx_model()
    model.graph.input[0].type.tensor_type.ClearField("shape")
    with pytest.raises(Unsupported, match="input 'x' may have any number of dimensions"):
        SimplifiedFromOnnx(model)()


def test_unknown_operators_are_refused() -> None:
    model = onnx_model()
    model.graph.node[0].op_type = "Swirl"
    with pytest.raises(Unsupported, match="ONNX has no operator for Swirl"):
        SimplifiedFromOnnx(model)()


def test_an_invalid_model_is_refused() -> None:
    with pytest.raises(BadSource, match="no valid ONNX"):
        SimplifiedFromOnnx(broken(onnx_model()))()
