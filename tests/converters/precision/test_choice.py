import numpy as np
import onnx
import pytest

from converters.graph.types import element_types
from converters.precision.choice import Choice, choices
from converters.precision.graphs import prepared
from converters.precision.low import BF16, FP16, LowFloat
from tests.converters.precision.graphs_in_text import graph


def chosen(
    model: onnx.ModelProto, low: LowFloat = FP16, *, keep: frozenset[str] = frozenset(), low_inputs: bool = False
) -> dict[str, Choice]:
    ready = prepared(model, opset=low.opset)
    found = choices(ready, element_types(ready), low, keep=keep, low_inputs=low_inputs)
    return dict(zip((node.name for node in ready.graph.node), found, strict=True))


def test_operands_of_one_type_variable_go_together() -> None:
    model = graph(
        '(float[1, 1, 4, 4] x) => (float[1, 1, 8, 8] y) { y = Resize<mode = "nearest">(x, , s) }',
        weights={"s": np.array([1, 1, 2, 2], np.float32)},
    )
    assert chosen(model)["y"] == Choice(frozenset({0}), frozenset({0}))  # the scales stay FP32


def test_what_the_schema_forbids_stays() -> None:
    model = graph("(float[2, 3] x) => (uint8[2, 3] y, float s, uint8 z) { y, s, z = DynamicQuantizeLinear(x) }")
    assert chosen(model)["y"].reason == "it does not take FP16 in operator set 18"


def test_nodes_that_handle_no_floats_have_nothing_to_say() -> None:
    assert chosen(graph("(int64[2] x) => (int64[2] y) { y = Neg(x) }"))["y"] == Choice()


def test_unknown_operators_and_bodies_stay() -> None:
    model = graph(
        """(bool c, float[2] x) => (float[2] y) {
        y = If(c) <then_branch = a () => (float[2] p) { p = Neg(x) }, else_branch = b () => (float[2] q) { q = Abs(x) }>
    }"""
    )
    assert chosen(model)["y"].reason == "it holds a graph of its own"
    strange = graph("(float[2] x) => (float[2] y) { y = Strange(x) }")
    strange.graph.node[0].domain = "com.example"
    strange.opset_import.append(onnx.helper.make_opsetid("com.example", 1))
    assert "ONNX does not define" in chosen(strange)["y"].reason


def test_operands_of_unknown_type_stay() -> None:
    model = graph("(float[2] x) => (float[2] y) { s = SequenceConstruct(x) y = ConcatFromSequence<axis = 0>(s) }")
    assert "no plain tensors" in chosen(model)["s"].reason


def test_what_is_asked_for_stays() -> None:
    model = graph("(float[2] x) => (float[2] y) { a = Relu(x) y = Neg(a) }")
    found = chosen(model, keep=frozenset({"a"}))
    assert found["a"] == Choice(reason="it was asked for")
    assert found["y"].low


def test_made_up_numbers_stay() -> None:
    assert chosen(graph("(float[2] x) => (float[2] y) { r = RandomNormalLike(x) y = Add(x, r) }"))["r"].reason


def test_movers_follow_their_input() -> None:
    model = graph("(float[2, 3] x) => (float[3, 2] z) { t = Transpose(x) y = Neg(t) z = Identity(y) }")
    found = chosen(model)
    assert (found["t"], found["y"].low, found["z"].low) == (Choice(), True, True)
    assert chosen(model, low_inputs=True)["t"].low


def test_sizes_are_exact() -> None:
    model = graph(
        """(float[N, M] x) => (float[N, M] y) {
        shape = Shape(x)
        count = ReduceProd<keepdims = 0>(shape)
        float = Cast<to = 1>(count)
        root = Sqrt(float)
        y = Div(x, root)
    }"""
    )
    found = chosen(model)
    assert "sizes of tensors" in found["root"].reason
    assert "sizes of tensors" in found["float"].reason
    assert found["y"].low


def test_data_of_a_computed_shape_is_no_size() -> None:
    model = graph(
        "(float[N, 4] x) => (float[N, 4] y) { s = Shape(x) e = Expand(w, s) y = Add(x, e) }",
        weights={"w": np.ones((1, 4), np.float32)},
    )
    assert chosen(model)["e"].low


def test_a_constant_beyond_the_range_keeps_its_node() -> None:
    model = graph("(float[2] x) => (float[2] y) { y = Mul(x, w) }", weights={"w": np.array([1e6, 1], np.float32)})
    assert chosen(model)["y"].reason == "its constant 'w' holds 1e+06, and 65504 is the largest FP16"
    assert chosen(model, BF16)["y"].low


def test_a_scale_that_would_be_zero_keeps_its_node() -> None:
    model = graph(
        "(int8[2, 2] q) => (float[2, 2] y) { y = DequantizeLinear<axis = 0>(q, s) }",
        opset=19,
        weights={"s": np.array([0.1, 1e-9], np.float32)},
    )
    assert chosen(model)["y"].reason == "one of its scales, 's', would be zero in FP16"
    assert chosen(model, BF16)["y"].low


@pytest.mark.parametrize("keep", [frozenset[str](), frozenset({"a"})])
def test_an_epsilon_keeps_what_it_guards(keep: frozenset[str]) -> None:
    model = graph(
        "(float[2] x) => (float[2] y) { n = Neg(x) a = Add(n, e) s = Sqrt(a) r = Reciprocal(s) y = Mul(r, x) }",
        weights={"e": np.array(1e-12, np.float32)},
    )
    found = chosen(model, keep=keep)
    assert not any(found[name].low for name in "asr")
    assert found["r"].reason == "an epsilon that is too small for FP16 keeps it from infinity"
    assert found["n"].low
    assert found["y"].low


def test_what_tensorrt_refuses_stays() -> None:
    model = graph(
        "(float[1, 2, 4, 4] x) => (float[1, 2, 5, 5] y) { y = ConvTranspose(x, w) }",
        weights={"w": np.ones((2, 2, 2, 2), np.float32)},
    )
    assert chosen(model, BF16)["y"].reason == "TensorRT does not take it in BF16"
    assert chosen(model)["y"].low
