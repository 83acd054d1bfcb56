import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from converters.precision.base import Calibration
from converters.precision.int8 import Int8FromOnnx
from converters.precision.low import FP16
from converters.precision.rest import LowFromQuantised
from converters.verify.twin import Twin
from tests.converters.precision.graphs_in_text import conv_net, graph
from tests.converters.verify.doubles import Batches

X = np.random.default_rng(7).normal(size=(4, 8)).astype(np.float32)


def outputs_of(twin: Twin, folder: Path) -> tuple[list[float], list[str]]:
    """What a twin's outputs are, and the nodes' outputs in the order in which they ran."""
    model = onnx.ModelProto()
    model.CopyFrom(twin.model)
    for node in twin.nodes:
        added = model.graph.node.add()
        added.CopyFrom(node)
        added.name = node.output[0]
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in twin.outputs)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "profile")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    values = session.run(list(twin.outputs), {"x": X})
    events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    ran = [event["name"].removesuffix("_kernel_time") for event in events if event["name"].endswith("_kernel_time")]
    return [float(value.item()) for value in values], ran


def chain(factor: float, length: int = 6) -> onnx.ModelProto:
    lines = "\n".join(f"t{n + 1} = Mul(t{n}, factor)" for n in range(length))
    text = f"(float[N, 8] x) => (float[N, 8] t{length}) {{ t0 = Neg(x)\n{lines} }}"
    return graph(text, weights={"factor": np.array(factor, np.float32)})


def test_each_node_gives_its_summed_error_and_its_summed_value(tmp_path: Path) -> None:
    twin = Twin.of(chain(1.0), chain(2.0))
    assert twin.tensors == tuple(f"t{number}" for number in range(7))
    values, _ = outputs_of(twin, tmp_path)
    total = float(np.abs(X).sum())
    assert np.allclose(values[1::2], [total] * 7)
    assert np.allclose(values[::2], [total * (2**number - 1) for number in range(7)])


def test_nodes_are_compared_as_they_are_computed_so_that_their_memory_is_free_again(tmp_path: Path) -> None:
    _, ran = outputs_of(Twin.of(chain(1.5, 20), chain(2.0, 20)), tmp_path)
    place = {name: position for position, name in enumerate(ran)}
    for number in range(18):
        assert place[f"low/difference_{number}"] < place[f"t{number + 2}"]
        assert place[f"low/difference_{number}"] < place[f"low/t{number + 2}"]


def test_what_only_moves_numbers_or_has_other_shapes_or_types_is_not_compared() -> None:
    def model(size: int) -> onnx.ModelProto:
        text = """(float[N, 8] x) => (float[N, M] y) {
            a = Relu(x)
            turned = Transpose<perm = [1, 0]>(a)
            back = Transpose<perm = [1, 0]>(turned)
            whole = Cast<to = 7>(back)
            wide = Expand(one, size)
            root = Sqrt(wide)
            sum = ReduceSum(root)
            y = Add(back, sum)
        }"""
        return graph(text, weights={"one": np.array([1], np.float32), "size": np.array([size])})

    assert Twin.of(model(2), model(2)).tensors == ("a", "root", "sum", "y")
    assert Twin.of(model(2), model(3)).tensors == ("a", "sum", "y")


def test_quantised_tensors_are_taken_after_they_were_dequantised() -> None:
    model, feeds = conv_net()
    int8 = Int8FromOnnx(model, Batches([feeds]), Calibration())()
    for result in (int8, LowFromQuantised(int8, "fp16", frozenset(), True)()):
        twin = Twin.of(model, result)
        compared = {
            twin.tensors[int(node.output[0].split("_")[1])]: node.input[0]
            for node in twin.nodes
            if node.op_type == "Cast" and node.output[0].startswith("low/difference")
        }
        producers = {name: node for node in twin.model.graph.node for name in node.output}
        behind = compared["active"]
        while producers[behind].op_type == "Cast":
            behind = producers[behind].input[0]
        assert producers[behind].op_type == "DequantizeLinear"
        assert producers[compared["scores"]].op_type != "DequantizeLinear"


def test_low_floats_are_rounded_and_types_may_differ() -> None:
    nodes = [helper.make_node("Mul", ["x", "third"], ["y"], name="y")]
    model = graph(
        "(float[N, 8] x) => (float[N, 8] y) { y = Mul(x, third) }", weights={"third": np.full(1, 1 / 3, np.float32)}
    )
    low = helper.make_graph(
        nodes,
        "low",
        [helper.make_tensor_value_info("x", FP16.code, ["N", 8])],
        [helper.make_tensor_value_info("y", FP16.code, ["N", 8])],
        [onnx.numpy_helper.from_array(np.full(1, 1 / 3, np.float16), "third")],
    )
    twin = Twin.of(model, helper.make_model(low, opset_imports=[helper.make_opsetid("", 18)], ir_version=8))
    assert twin.tensors == ("y",)
    assert [value.name for value in twin.model.graph.input] == ["x"]
    onnx.checker.check_model(twin.model)
