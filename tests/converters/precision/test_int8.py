from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from typing import Literal

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from converters.arrays import Array, Feeds
from converters.errors import BadData, ConfigError, Unsupported
from converters.graph.signature import signature_of
from converters.precision.base import Calibration
from converters.precision.int8 import Int8FromOnnx
from tests.converters.precision.int8_models import FLOAT, Batches, attention, convolutions, graph, images

TARGETS: tuple[Literal["tensorrt", "cpu"], ...] = ("tensorrt", "cpu")
DATA = images(4)


def run(model: onnx.ModelProto, feeds: Feeds) -> Array:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    result: Array = session.run(None, feeds)[0]
    return result


def cosine(one: Array, other: Array) -> float:
    return float((one * other).sum() / (np.linalg.norm(one) * np.linalg.norm(other)))


def quantised_nodes(model: onnx.ModelProto) -> set[str]:
    """Names of nodes that read an INT8 weight."""
    stored = {tensor.name for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.INT8}
    read = {
        node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear" and node.input[0] in stored
    }
    return {node.name for node in model.graph.node if read.intersection(node.input)}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("method", ["minmax", "entropy", "percentile"])
def test_result_is_like_the_original(
    target: Literal["tensorrt", "cpu"], method: Literal["minmax", "entropy", "percentile"]
) -> None:
    model = convolutions()
    before = model.SerializeToString()
    result = Int8FromOnnx(model, DATA, Calibration(method=method), served_by=target)()
    assert model.SerializeToString() == before
    assert signature_of(result).inputs == signature_of(model).inputs
    for feeds in images(3, size=16, seed=9):  # another size than the data's
        assert cosine(run(result, feeds), run(model, feeds)) > 0.98


def test_heavy_nodes_are_quantised_and_depthwise_ones_are_not() -> None:
    for target in TARGETS:
        assert quantised_nodes(Int8FromOnnx(convolutions(), DATA, Calibration(), served_by=target)()) == {
            "first", "second", "scores"
        }  # fmt: skip


def test_matmul_of_two_activations_is_left_alone() -> None:
    data = Batches([{"x": np.random.default_rng(0).normal(size=(2, 5, 8)).astype(np.float32)}])
    result = Int8FromOnnx(attention(), data, Calibration())()
    assert quantised_nodes(result) == {"query", "key"}
    assert Counter(node.op_type for node in result.graph.node)["QuantizeLinear"] == 1  # both read x


def test_for_tensorrt_all_is_signed_and_symmetric_and_biases_stay() -> None:
    result = Int8FromOnnx(convolutions(), DATA, Calibration())()
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in result.graph.initializer}
    producers = {name: node.op_type for node in result.graph.node for name in node.output}
    for node in result.graph.node:
        if node.op_type in {"QuantizeLinear", "DequantizeLinear"}:
            zero = weights[node.input[2]]
            assert zero.dtype == np.int8
            assert not zero.any()
        if node.name in {"first", "second", "scores"}:
            assert weights[node.input[2]].dtype == np.float32
            assert producers[node.input[0]] == producers[node.input[1]] == "DequantizeLinear"
    assert producers["y"] == "Gemm"


def test_for_a_cpu_activations_are_unsigned_and_relus_a_part_of_their_range() -> None:
    result = Int8FromOnnx(convolutions(), DATA, Calibration(), served_by="cpu")()
    types = {tensor.name: tensor.data_type for tensor in result.graph.initializer}
    operators = Counter(node.op_type for node in result.graph.node)
    assert "Relu" not in operators
    assert {types[node.input[2]] for node in result.graph.node if node.op_type == "QuantizeLinear"} == {
        onnx.TensorProto.UINT8
    }
    assert onnx.TensorProto.INT32 in types.values()


def test_one_scale_a_channel_or_one_for_all() -> None:
    scales = {}
    for per_channel in (True, False):
        result = Int8FromOnnx(convolutions(), DATA, Calibration(per_channel=per_channel))()
        scales[per_channel] = next(list(t.dims) for t in result.graph.initializer if t.name == "w1_scale")
    assert scales == {True: [8], False: []}


def test_kept_nodes_stay() -> None:
    result = Int8FromOnnx(convolutions(), DATA, Calibration(), keep=frozenset({"first"}))()
    assert quantised_nodes(result) == {"second", "scores"}
    everything = frozenset({"first", "second", "scores"})
    assert not quantised_nodes(Int8FromOnnx(convolutions(), DATA, Calibration(), keep=everything)())
    with pytest.raises(ConfigError, match=r"there is no node 'frist'.*'first'"):
        Int8FromOnnx(convolutions(), DATA, Calibration(), keep=frozenset({"frist"}))()


def test_chosen_operators() -> None:
    assert quantised_nodes(Int8FromOnnx(convolutions(), DATA, Calibration(operators=("Conv",)))()) == {
        "first", "depthwise", "second"
    }  # fmt: skip
    with pytest.raises(ConfigError, match="ONNX has no operator 'Convv'; did you mean 'Conv'"):
        Int8FromOnnx(convolutions(), DATA, Calibration(operators=("Convv",)))()
    with pytest.raises(Unsupported, match="nothing to quantise: the FP32 graph has Conv, Flatten, Gemm"):
        Int8FromOnnx(convolutions(), DATA, Calibration(operators=("LSTM",)))()


@pytest.mark.parametrize("target", TARGETS)
def test_old_operator_sets_with_weights_in_nodes(target: Literal["tensorrt", "cpu"]) -> None:
    model = convolutions(opset=11, constants=True)
    result = Int8FromOnnx(model, DATA, Calibration(), served_by=target)()
    assert quantised_nodes(result) == {"first", "second", "scores"}
    feeds = next(iter(DATA))
    assert cosine(run(result, feeds), run(model, feeds)) > 0.98


def test_a_shared_bias_whose_copy_would_take_anothers_name() -> None:
    model = convolutions()
    for node in model.graph.node:  # "b" is shared and "b4" is there, so ONNX Runtime's quantiser calls its copy "b5"
        for names in (node.input, node.output):
            names[:] = ["b5" if name == "c2" else name for name in names]
    feeds = next(iter(DATA))
    for target in TARGETS:
        result = Int8FromOnnx(model, DATA, Calibration(), served_by=target)()
        assert cosine(run(result, feeds), run(model, feeds)) > 0.98


def test_branches_see_what_they_capture() -> None:
    model = convolutions()
    x = helper.make_tensor_value_info("x", FLOAT, ["batch", 3, "height", "width"])
    then = helper.make_graph(
        [helper.make_node("Add", ["y", "y"], ["more"])],
        "then",
        [],
        [helper.make_tensor_value_info("more", FLOAT, None)],
    )
    other = helper.make_graph(
        [helper.make_node("Neg", ["y"], ["less"])], "else", [], [helper.make_tensor_value_info("less", FLOAT, None)]
    )
    nodes = [*model.graph.node, helper.make_node("If", ["yes"], ["z"], then_branch=then, else_branch=other)]
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    branching = graph(nodes, [x], ["z"], weights | {"yes": np.array(True)})
    feeds = next(iter(DATA))
    result = Int8FromOnnx(branching, DATA, Calibration())()
    assert cosine(run(result, feeds), 2 * run(model, feeds)) > 0.98


def test_data_that_does_not_fit() -> None:
    with pytest.raises(BadData, match="lacks the input"):
        Int8FromOnnx(convolutions(), Batches([{}]), Calibration())()


def test_infinity_names_step_and_node() -> None:
    model = convolutions()
    huge = Batches([{"x": np.full((1, 3, 4, 4), 3e38, np.float32)}])
    with pytest.raises(BadData) as caught:
        Int8FromOnnx(model, huge, Calibration())()
    assert "int8, node " in str(caught.value)
    assert "becomes NaN or infinite for batch 0 of a list" in str(caught.value)


def test_nothing_is_logged_and_logging_stays_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    root = logging.getLogger()
    before = list(root.handlers), list(root.filters)
    Int8FromOnnx(
        attention(), Batches([{"x": np.ones((1, 2, 8), np.float32)}]), Calibration(operators=("MatMul", "Gather"))
    )()
    assert (list(root.handlers), list(root.filters)) == before
    assert not caplog.records


def test_source_may_be_another_conversion() -> None:
    conversion = Int8FromOnnx(convolutions, DATA, Calibration())
    assert quantised_nodes(conversion()) == quantised_nodes(replace(conversion, model=convolutions())())


@pytest.mark.parametrize("model", [convolutions, attention])
def test_tensorrt_takes_the_result(model: object) -> None:
    tensorrt = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    assert callable(model)
    original = model()
    data = DATA if original.graph.node[0].op_type == "Conv" else Batches([{"x": np.ones((2, 5, 8), np.float32)}])
    result = Int8FromOnnx(original, data, Calibration())()
    builder = tensorrt.Builder(tensorrt.Logger(tensorrt.Logger.ERROR))
    network = builder.create_network(1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = tensorrt.OnnxParser(network, builder.logger)
    assert parser.parse(result.SerializeToString()), [parser.get_error(i).desc() for i in range(parser.num_errors)]
