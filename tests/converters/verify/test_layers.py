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
from converters.precision.base import Calibration
from converters.precision.bisect import nodes_to_keep
from converters.precision.emulated import EmulatedFromMixed
from converters.precision.fp8 import Fp8FromOnnx
from converters.precision.low import BF16
from converters.precision.low import FP16 as LOW
from converters.precision.mixed import mixed
from converters.verify.layers import layer_differences, suspects, worst_layer
from tests.converters.precision import graphs_in_text
from tests.converters.verify.doubles import Batches, graph

FLOAT, FP16 = TensorProto.FLOAT, TensorProto.FLOAT16
RNG = np.random.default_rng(5)
DATA = Batches([{"x": RNG.normal(size=(4, 8)).astype(np.float32)} for _ in range(3)])
WEIGHTS = {f"w{number}": RNG.normal(size=(8, 8)).astype(np.float32) / 3 for number in range(6)}

# A sum of squares that FP16 cannot hold, between things that it can.
OVERFLOWING = graphs_in_text.graph(
    """(float[N, 8] x) => (float[N, 1] y) {
        a = Mul(x, hundred)
        b = Relu(a)
        c = Add(b, one)
        square = Mul(c, c)
        sum = ReduceSum(square, axes)
        root = Sqrt(sum)
        y = Mul(root, small)
    }""",
    weights={
        "hundred": np.array(100, np.float32),
        "one": np.array(1, np.float32),
        "small": np.array(0.01, np.float32),
        "axes": np.array([1]),
    },
)
SUMMED = {"x": np.random.default_rng(3).uniform(1, 2, (4, 8)).astype(np.float32)}


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


def test_all_layers_are_told_the_most_suspicious_first() -> None:
    result = chain(shaken(WEIGHTS, w2=0.5))
    layers = layer_differences(chain(WEIGHTS), result, DATA)
    assert layers[0].node == "layer2"
    assert {layer.node for layer in layers} == {f"layer{number}" for number in range(6)}
    assert [layer.added for layer in layers] == sorted((layer.added for layer in layers), reverse=True)
    assert all(0 <= layer.added <= layer.mean_rel for layer in layers)


@pytest.mark.parametrize("moved", [False, True])
def test_nearly_zero_means_that_harm_nobody_are_not_blamed(moved: bool) -> None:
    mean = [helper.make_node("ReduceMean", ["t1"], ["mean"], name="mean", axes=[1])]
    move = [helper.make_node("Identity", ["mean"], ["moved"], name="move")] if moved else []
    centred = [helper.make_node("Sub", ["t1", "moved" if moved else "mean"], ["centred"], name="centre")]
    centre = {1: [*mean, *move, *centred]}
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


def test_an_overflow_is_where_the_loss_begins() -> None:
    found = layer_differences(OVERFLOWING, mixed(OVERFLOWING, LOW, keep_io=True).model, [SUMMED])
    assert (found[0].node, found[0].mean_rel, found[0].added) == ("sum", math.inf, math.inf)
    assert {layer.node: layer.added for layer in found}["root"] == 0
    assert all(layer.mean_rel < 0.01 for layer in found if layer.node in {"a", "b", "c"})


def test_neighbours_are_suspected_too_and_a_search_then_needs_few_attempts() -> None:
    layers = layer_differences(OVERFLOWING, mixed(OVERFLOWING, LOW, keep_io=True).model, [SUMMED])
    candidates = suspects(OVERFLOWING, layers)
    assert candidates[0] == "sum"
    assert set(candidates[1:3]) == {"square", "root"}
    wanted = graphs_in_text.run(OVERFLOWING, SUMMED)["y"]

    def passes(kept: frozenset[str]) -> bool:
        model = EmulatedFromMixed(mixed(OVERFLOWING, LOW, keep_io=True, keep=kept).model)()
        return bool(np.allclose(graphs_in_text.run(model, SUMMED)["y"], wanted, rtol=1e-2))

    assert nodes_to_keep(candidates, passes, limit=8) == {"sum", "root"}


def test_models_of_another_operator_set_and_q_dq_are_compared_too() -> None:
    model, feeds = graphs_in_text.conv_net()
    names = {node.name for node in model.graph.node} - {"shape", "flat"}  # which only move numbers
    bf16 = layer_differences(model, mixed(model, BF16, keep_io=False).model, [feeds, feeds])
    assert {layer.node for layer in bf16} == names
    assert all(0 <= layer.added <= layer.mean_rel < 0.2 for layer in bf16)
    fp8 = layer_differences(model, Fp8FromOnnx(model, Batches([feeds]), Calibration())(), [feeds])
    assert {layer.node for layer in fp8} == names
    assert fp8[0].node in {"first", "second", "third", "logits", "both"}


def test_the_same_model_loses_nothing() -> None:
    model, feeds = graphs_in_text.conv_net()
    assert all(layer.mean_rel == 0 for layer in layer_differences(model, model, [feeds]))


def test_a_mask_of_infinities_is_looked_through() -> None:
    def masked(scale: float) -> onnx.ModelProto:
        text = """(float[N, 8] x) => (float[N, 8] y) {
            scaled = Mul(x, scale)
            masked = Add(scaled, mask)
            y = Softmax(masked)
        }"""
        mask = np.array([0, 0, 0, 0, 0, 0, 0, -np.inf], np.float32)
        return graphs_in_text.graph(text, weights={"scale": np.array(scale, np.float32), "mask": mask})

    layers = layer_differences(masked(1.0), masked(1.5), [SUMMED])
    assert [layer.node for layer in layers] == ["scaled", "y"]
    assert layers[0].mean_rel == pytest.approx(0.5)
    assert layers[0].added == layers[1].mean_rel > 0.05  # as far as it shows behind the mask
    assert layers[1].added == 0


def test_without_data_nothing_can_be_said() -> None:
    model, _ = graphs_in_text.conv_net()
    with pytest.raises(BadData, match="no data"):
        layer_differences(model, model, [])
