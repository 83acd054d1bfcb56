from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from converters.arrays import Array
from converters.errors import BadData
from converters.verify.layers import layer_differences, worst_layer
from tests.converters.verify.doubles import Batches, graph

FLOAT, FP16 = TensorProto.FLOAT, TensorProto.FLOAT16
RNG = np.random.default_rng(5)
DATA = Batches([{"x": RNG.normal(size=(4, 8)).astype(np.float32)} for _ in range(3)])
WEIGHTS = {f"w{number}": RNG.normal(size=(8, 8)).astype(np.float32) / 3 for number in range(6)}


def chain(weights: Mapping[str, Array], more: Mapping[int, list[onnx.NodeProto]] | None = None) -> onnx.ModelProto:
    """Six layers, t0 to t5; nodes may be put in after each, the last of which gives what the next layer takes."""
    nodes, last = [], "x"
    for number in range(6):
        nodes.append(helper.make_node("MatMul", [last, f"w{number}"], [f"t{number}"], name=f"layer{number}"))
        last = f"t{number}"
        for node in (more or {}).get(number, []):
            nodes.append(node)
            last = node.output[0]
    return graph(nodes, {"x": (FLOAT, ["n", 8])}, {"t5": FLOAT}, weights)


def shaken(weights: Mapping[str, Array], **by: float) -> dict[str, Array]:
    return {
        name: value * (1 + by.get(name, 1e-4) * RNG.uniform(-1, 1, value.shape)).astype(np.float32)
        for name, value in weights.items()
    }


@pytest.mark.parametrize("bad", [0, 3, 5])
def test_node_where_the_loss_begins(bad: int) -> None:
    result = chain(shaken(WEIGHTS, **{f"w{bad}": 0.5}))
    worst = worst_layer(chain(WEIGHTS), result, DATA)
    assert worst is not None
    assert (worst.node, worst.operator, worst.tensor) == (f"layer{bad}", "MatMul", f"t{bad}")
    assert 0.05 < worst.mean_rel < 0.5


def test_error_of_a_layer_by_hand() -> None:
    def times(factor: float) -> onnx.ModelProto:
        node = helper.make_node("Mul", ["x", "f"], ["y"], name="times")
        return graph([node], {"x": (FLOAT, ["n", 8])}, {"y": FLOAT}, {"f": np.array(factor, np.float32)})

    (layer,) = layer_differences(times(2.0), times(2.5), DATA)
    assert layer.mean_rel == pytest.approx(0.25, rel=1e-6)


def test_all_layers_are_told_the_most_suspicious_first_however_many_fit_into_memory() -> None:
    result = chain(shaken(WEIGHTS, w2=0.5))
    layers = layer_differences(chain(WEIGHTS), result, DATA)
    assert layers[0].node == "layer2"
    assert {layer.node for layer in layers} == {f"layer{number}" for number in range(6)}
    assert layer_differences(chain(WEIGHTS), result, DATA, bound=1) == layers


def test_nearly_zero_means_that_harm_nobody_are_not_blamed() -> None:
    centre = {
        1: [
            helper.make_node("ReduceMean", ["t1"], ["mean"], name="mean", axes=[1]),
            helper.make_node("Sub", ["t1", "mean"], ["centred"], name="centre"),
        ]
    }
    weights = dict(WEIGHTS)
    weights["w1"] = weights["w1"] - weights["w1"].mean(axis=1, keepdims=True)  # rows of t1 have a mean of almost 0
    result = chain(shaken(weights, w4=0.2), centre)
    layers = layer_differences(chain(weights, centre), result, DATA)
    assert max(layers, key=lambda layer: layer.mean_rel).node == "mean"
    assert layers[0].node == "layer4"


def test_first_infinity_is_where_it_begins() -> None:
    def halves(kind: int) -> onnx.ModelProto:
        large = {**WEIGHTS, "w0": WEIGHTS["w0"] * 100, "w2": WEIGHTS["w2"] * 10000}
        model = chain({name: value.astype(np.float16 if kind == FP16 else np.float32) for name, value in large.items()})
        model.graph.input[0].type.tensor_type.elem_type = kind
        model.graph.output[0].type.tensor_type.elem_type = kind
        return model

    worst = worst_layer(halves(FLOAT), halves(FP16), DATA)
    assert worst is not None
    assert (worst.node, worst.mean_rel) == ("layer2", math.inf)


def quantised(tensor: str, scale: float) -> list[onnx.NodeProto]:
    """A Q/DQ pair as ONNX Runtime's quantiser names it."""
    return [
        helper.make_node("QuantizeLinear", [tensor, "s", "zero"], [f"{tensor}_QuantizeLinear_Output"]),
        helper.make_node(
            "DequantizeLinear", [f"{tensor}_QuantizeLinear_Output", "s", "zero"], [f"{tensor}_DequantizeLinear_Output"]
        ),
    ]


def test_quantised_tensor_is_compared_as_its_consumers_see_it() -> None:
    weights = {**WEIGHTS, "s": np.array(0.001, np.float32), "zero": np.array(0, np.int8)}  # saturates at 0.127
    worst = worst_layer(chain(WEIGHTS), chain(weights, {2: quantised("t2", 0.001)}), DATA)
    assert worst is not None
    assert (worst.node, worst.tensor) == ("layer2", "t2")


def test_real_quantiser(tmp_path: Path) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static  # noqa: PLC0415 - heavy

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # of a library without types
        def __init__(self) -> None:
            self._batches = iter(DATA)

        def get_next(self) -> Mapping[str, Array] | None:
            return next(self._batches, None)

    weights = {name: value.copy() for name, value in WEIGHTS.items()}
    weights["w3"][0, 0] = 200.0  # one weight that leaves no digits to the others of its tensor
    onnx.save(chain(weights), tmp_path / "fp32.onnx")
    quantize_static(tmp_path / "fp32.onnx", tmp_path / "int8.onnx", Reader(), quant_format=QuantFormat.QDQ)
    layers = layer_differences(chain(weights), onnx.load(tmp_path / "int8.onnx"), DATA)
    assert {layer.tensor for layer in layers} == {f"t{number}" for number in range(6)}
    assert layers[0].mean_rel > 0.01


def test_graphs_that_have_nothing_in_common_or_do_not_run() -> None:
    other = graph([helper.make_node("Abs", ["x"], ["z"])], {"x": (FLOAT, ["n", 8])}, {"z": FLOAT})
    assert worst_layer(chain(WEIGHTS), other, DATA) is None
    wrong = Batches([{"x": np.ones((1, 3), np.float32)}])
    assert worst_layer(chain(WEIGHTS), chain(WEIGHTS), wrong) is None
    with pytest.raises(BadData):
        layer_differences(chain(WEIGHTS), chain(WEIGHTS), wrong)


def test_inner_sequences_strings_and_other_shapes_are_left_out() -> None:
    def model(size: int) -> onnx.ModelProto:
        nodes = [
            helper.make_node("SequenceConstruct", ["x", "x"], ["pair"]),
            helper.make_node("ConcatFromSequence", ["pair"], ["both"], axis=0),
            helper.make_node("Cast", ["x"], ["text"], to=TensorProto.STRING),
            helper.make_node("Unique", ["text"], ["unique"]),
            helper.make_node("ConstantOfShape", ["size"], ["zeros"]),
            helper.make_node("ReduceSum", ["zeros"], ["zero"], keepdims=0),
            helper.make_node("Add", ["both", "zero"], ["y"], name="add"),
        ]
        outputs = {"y": FLOAT, "unique": TensorProto.STRING}
        return graph(nodes, {"x": (FLOAT, ["n", 8])}, outputs, {"size": np.array([size])})

    layers = layer_differences(model(2), model(3), DATA)
    assert {layer.tensor for layer in layers} == {"both", "zero", "y"}
    assert {layer.mean_rel for layer in layers} == {0.0}
