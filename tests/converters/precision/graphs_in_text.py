"""Tiny models written as text, and what runs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import onnx

from converters.arrays import Array, Feeds


def graph(text: str, *, opset: int = 18, weights: Mapping[str, Array] | None = None) -> onnx.ModelProto:
    """A model from "(float[2] x) => (float[2] y) { y = Relu(x) }" and weights; every node is named as its output."""
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> test {text}')
    model.graph.initializer.extend(onnx.numpy_helper.from_array(v, k) for k, v in (weights or {}).items())
    for node in model.graph.node:
        node.name = node.output[0]
    return model


def run(model: onnx.ModelProto, feeds: Feeds) -> dict[str, Array]:
    """All outputs, by ONNX Runtime on the CPU."""
    import onnxruntime  # noqa: PLC0415 - heavy

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def type_of(model: onnx.ModelProto, value: str) -> str:
    graph = model.graph
    for info in (*graph.input, *graph.output, *graph.value_info):
        if info.name == value:
            return str(onnx.TensorProto.DataType.Name(info.type.tensor_type.elem_type))
    tensor = next(tensor for tensor in graph.initializer if tensor.name == value)
    return str(onnx.TensorProto.DataType.Name(tensor.data_type))


def inputs_of(model: onnx.ModelProto, node: str) -> list[str]:
    """The types of a node's inputs."""
    found = next(each for each in model.graph.node if each.name == node)
    return [type_of(model, name) for name in found.input]


class Batches:
    """A data set in memory."""

    origin = "the test"
    digest = "0" * 64

    def __init__(self, batches: Sequence[Feeds]) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Feeds]:
        return iter(self._batches)


def conv_net(opset: int = 15) -> tuple[onnx.ModelProto, Feeds]:
    """A small classifier of 16 x 16 pixels with weights shared by two branches, as some exporters write them."""
    random = np.random.default_rng(5)
    weights = {
        "w1": random.normal(0, 0.3, (8, 3, 3, 3)), "w2": random.normal(0, 0.15, (8, 8, 3, 3)),
        "scale": random.uniform(0.5, 1.5, 8), "offset": random.normal(0, 0.2, 8), "mean": random.normal(0, 0.2, 8),
        "var": random.uniform(0.5, 1.5, 8), "dense": random.normal(0, 0.4, (8, 10)), "bias": random.normal(0, 0.1, 10),
    }  # fmt: skip
    model = graph(
        """(float[N, 3, 16, 16] image) => (float[N, 10] scores) {
            first = Conv<pads = [1, 1, 1, 1]>(image, w1)
            normal = BatchNormalization(first, scale, offset, mean, var)
            active = Relu(normal)
            second = Conv<pads = [1, 1, 1, 1]>(active, w2)
            third = Conv<pads = [2, 2, 2, 2], dilations = [2, 2]>(active, w2)
            both = Add(second, third)
            large = Resize<mode = "nearest">(both, , factors)
            pooled = GlobalAveragePool(large)
            shape = Constant<value = int64[2] {0, 8}>()
            flat = Reshape(pooled, shape)
            logits = Gemm(flat, dense, bias)
            scores = Softmax(logits)
        }""",
        opset=opset,
        weights={name: value.astype(np.float32) for name, value in weights.items()}
        | {"factors": np.array([1, 1, 2, 2], np.float32)},
    )
    return model, {"image": random.normal(0, 1, (4, 3, 16, 16)).astype(np.float32)}
