import numpy as np
import onnx
import pytest

from converters.errors import ConfigError, Unsupported
from converters.precision.base import Calibration
from converters.precision.emulated import EmulatedFromMixed
from converters.precision.fp8 import Fp8FromOnnx
from converters.precision.fp16 import Fp16FromOnnx
from tests.converters.precision.graphs_in_text import Batches, conv_net, graph, inputs_of, operators, run, type_of


def test_products_with_weights_become_fp8_and_weights_are_stored_so() -> None:
    model, feeds = conv_net()
    result = Fp8FromOnnx(lambda: model, Batches([feeds]), Calibration())()
    assert operators(result).count("QuantizeLinear") == 3  # image, active (read twice), flat
    assert operators(result).count("DequantizeLinear") == 6
    stored = [tensor for tensor in result.graph.initializer if type_of(result, tensor.name) == "FLOAT8E4M3FN"]
    assert {tensor.name for tensor in stored if len(tensor.dims) > 1} == {"w1_fp8", "w2_fp8", "dense_fp8"}
    assert not {"w1", "w2", "dense"} & {tensor.name for tensor in result.graph.initializer}
    assert result.opset_import[0].version == 19
    difference = np.abs(run(EmulatedFromMixed(result)(), feeds)["scores"] - run(model, feeds)["scores"])
    assert difference.max() < 0.1


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("transposed", [0, 1])
def test_each_output_channel_has_its_scale(per_channel: bool, transposed: int) -> None:
    weight = np.diag([1.0, 1000.0]).astype(np.float32)
    weight[0, 1] = 448.0
    model = graph(
        f"(float[1, 2] x) => (float[1, 2] y) {{ y = Gemm<transB = {transposed}>(x, w) }}",
        weights={"w": weight.T.copy() if transposed else weight},
    )
    feeds = {"x": np.array([[1, 0.5]], np.float32)}
    result = Fp8FromOnnx(model, Batches([feeds]), Calibration(per_channel=per_channel))()
    scale = next(tensor for tensor in result.graph.initializer if tensor.name == "w_scale")
    assert list(scale.dims) == ([2] if per_channel else [])
    assert np.allclose(run(EmulatedFromMixed(result)(), feeds)["y"], run(model, feeds)["y"], rtol=0.07)


def test_a_convolutions_scales_are_along_its_first_dimension() -> None:
    weight = np.array([[[[1.0]], [[2.0]], [[3.0]]], [[[448.0]], [[5.0]], [[6.0]]]], np.float32)
    model = graph("(float[1, 3, 1, 1] x) => (float[1, 2, 1, 1] y) { y = Conv(x, w) }", weights={"w": weight})
    feeds = {"x": np.ones((1, 3, 1, 1), np.float32)}
    result = Fp8FromOnnx(model, Batches([feeds]))()
    scale = next(tensor for tensor in result.graph.initializer if tensor.name == "w_scale")
    assert np.allclose(values(scale), [3 / 448, 1])
    assert np.allclose(run(EmulatedFromMixed(result)(), feeds)["y"].ravel(), [6, 459], rtol=0.07)


def test_the_rest_can_become_fp16() -> None:
    model, feeds = conv_net()
    result = Fp16FromOnnx(Fp8FromOnnx(model, Batches([feeds]), Calibration()))()
    assert inputs_of(result, "second") == ["FLOAT16", "FLOAT16"]
    difference = np.abs(run(EmulatedFromMixed(result)(), feeds)["scores"] - run(model, feeds)["scores"])
    assert difference.max() < 0.1


def test_depthwise_convolutions_stay_unless_asked_for() -> None:
    model = graph(
        "(float[1, 4, 8, 8] x) => (float[1, 4, 6, 6] y) { a = Conv<group = 4>(x, w) y = Conv(a, v) }",
        weights={"w": np.ones((4, 1, 3, 3), np.float32), "v": np.ones((4, 4, 1, 1), np.float32)},
    )
    data = Batches([{"x": np.ones((1, 4, 8, 8), np.float32)}])
    assert operators(Fp8FromOnnx(model, data, Calibration())()).count("QuantizeLinear") == 1
    assert operators(Fp8FromOnnx(model, data, Calibration(operators=("Conv",)))()).count("QuantizeLinear") == 2


def test_kept_nodes_are_left_alone() -> None:
    model, feeds = conv_net()
    result = Fp8FromOnnx(model, Batches([feeds]), Calibration(), keep=frozenset({"first", "second"}))()
    assert operators(result).count("QuantizeLinear") == 2
    with pytest.raises(ConfigError, match="there is no node 'nowhere'"):
        Fp8FromOnnx(model, Batches([feeds]), Calibration(), keep=frozenset({"nowhere"}))()


def test_a_model_without_products_is_refused() -> None:
    model = graph("(float[2] x) => (float[2] y) { y = Relu(x) }")
    with pytest.raises(Unsupported, match="fp8: no node of this model multiplies with constant weights"):
        Fp8FromOnnx(model, Batches([{"x": np.ones(2, np.float32)}]), Calibration())()


def test_a_channel_of_tiny_weights_can_become_fp16() -> None:
    model = graph(
        "(float[1, 2] x) => (float[1, 2] y) { y = MatMul(x, w) }",
        weights={"w": np.array([[1, 1e-6], [2, 3e-6]], np.float32)},
    )
    feeds = {"x": np.ones((1, 2), np.float32)}
    result = Fp16FromOnnx(Fp8FromOnnx(model, Batches([feeds]))())()
    assert all(scale > 0 for tensor in result.graph.initializer if "scale" in tensor.name for scale in values(tensor))
    assert np.allclose(run(EmulatedFromMixed(result)(), feeds)["y"], [[3, 4e-6]], rtol=0.1)


def values(tensor: onnx.TensorProto) -> list[float]:
    return [float(value) for value in onnx.numpy_helper.to_array(tensor).flat]


def test_a_tensor_that_is_always_zero_has_a_scale_all_the_same() -> None:
    model = graph(
        "(float[1, 2] x) => (float[1, 2] y) { y = MatMul(x, w) }", weights={"w": np.zeros((2, 2), np.float32)}
    )
    feeds = {"x": np.zeros((1, 2), np.float32)}
    result = EmulatedFromMixed(Fp8FromOnnx(model, Batches([feeds]), Calibration())())()
    assert run(result, feeds)["y"].tolist() == [[0, 0]]


def test_tensorrt_parses_it() -> None:
    tensorrt = pytest.importorskip("tensorrt_rtx")
    logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    builder = tensorrt.Builder(logger)
    network = builder.create_network(1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    model, feeds = conv_net()
    result = Fp16FromOnnx(Fp8FromOnnx(model, Batches([feeds]), Calibration()))()
    assert tensorrt.OnnxParser(network, logger).parse(result.SerializeToString())
