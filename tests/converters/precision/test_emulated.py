import numpy as np
import onnx
import pytest

from converters.errors import Unsupported
from converters.precision.base import Calibration
from converters.precision.emulated import EmulatedFromMixed
from converters.precision.fp8 import Fp8FromOnnx
from converters.precision.low import BF16, FP16, LOW_FLOATS, LowFloat
from converters.precision.mixed import mixed
from tests.converters.precision.graphs_in_text import Batches, conv_net, graph, run, type_of

SQUARES = "(float[2] x) => (float[2] y) { a = Mul(x, x) y = Sqrt(a) }"
X = np.array([1000, 1.001], np.float32)


def test_it_overflows_where_a_gpu_does_and_onnx_runtime_does_not() -> None:
    model = mixed(graph(SQUARES), FP16, keep_io=True).model
    assert run(EmulatedFromMixed(model)(), {"x": X})["y"][0] == np.inf
    assert run(model, {"x": X})["y"][0] == 1000  # if this fails, ONNX Runtime has become honest


def test_it_rounds_each_result() -> None:
    result = run(EmulatedFromMixed(mixed(graph(SQUARES), BF16, keep_io=True).model)(), {"x": X})["y"]
    exact = X.astype(BF16.dtype)
    square = (exact.astype(np.float32) ** 2).astype(BF16.dtype)
    assert result.tolist() == np.sqrt(square.astype(np.float32)).astype(BF16.dtype).astype(np.float32).tolist()


@pytest.mark.parametrize("low", LOW_FLOATS, ids=lambda low: low.name)
def test_inputs_and_outputs_are_fp32_always(low: LowFloat) -> None:
    model = mixed(graph(SQUARES), low, keep_io=False).model
    emulated = EmulatedFromMixed(lambda: model)()
    assert (type_of(emulated, "x"), type_of(emulated, "y")) == ("FLOAT", "FLOAT")
    other = EmulatedFromMixed(mixed(graph(SQUARES), low, keep_io=True).model)()
    assert run(emulated, {"x": X})["y"].tolist() == run(other, {"x": X})["y"].tolist()


def test_constants_and_casts_follow() -> None:
    model = graph(
        """(int64[2] i) => (float[2] y) {
        f = Cast<to = 1>(i)
        k = ConstantOfShape<value = float[1] {3.0001}>(n)
        a = Mul(f, k)
        y = Add(a, w)
    }""",
        weights={"n": np.array([2]), "w": np.array([1.0001, 2], np.float32)},
    )
    emulated = EmulatedFromMixed(mixed(model, FP16, keep_io=True).model)()
    onnx.checker.check_model(emulated, full_check=True)
    assert run(emulated, {"i": np.array([1, 2])})["y"].tolist() == [4, 8]


def test_fp8_is_run_without_operators_that_do_not_know_it() -> None:
    model, feeds = conv_net(19)
    quantised = Fp8FromOnnx(model, Batches([feeds]), Calibration())()
    emulated = EmulatedFromMixed(quantised)()
    assert not {"QuantizeLinear", "DequantizeLinear"} & {node.op_type for node in emulated.graph.node}
    plain = run(model, feeds)["scores"]
    difference = np.abs(run(emulated, feeds)["scores"] - plain)
    assert 1e-5 < difference.max() < 0.1


def test_other_models_stay_as_they_are() -> None:
    model, feeds = conv_net()
    assert run(EmulatedFromMixed(model)(), feeds)["scores"].tolist() == run(model, feeds)["scores"].tolist()


def test_bodies_in_16_bits_are_refused() -> None:
    model = graph(
        """(bool c, float16[2] x) => (float16[2] y) {
        y = If(c) <then_branch = a () => (float16[2] p) { p = Neg(x) },
            else_branch = b () => (float16[2] q) { q = Abs(x) }>
    }"""
    )
    with pytest.raises(Unsupported, match=r"node y \(If\): the graph inside this node handles 16-bit floats"):
        EmulatedFromMixed(model)()
