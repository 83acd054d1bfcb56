"""Small networks to quantise, with weights that are the same each time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from converters.arrays import Array, Feeds

FLOAT = onnx.TensorProto.FLOAT


class Batches:
    """Data in memory."""

    digest = "0" * 64
    origin = "a list"

    def __init__(self, batches: Sequence[Feeds]) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Feeds]:
        return iter(self._batches)


def images(count: int, *, size: int = 12, seed: int = 0) -> Batches:
    """Batches of two images of three channels, under the name `x`."""
    generator = np.random.default_rng(seed)
    return Batches([{"x": generator.normal(size=(2, 3, size, size)).astype(np.float32)} for _ in range(count)])


def graph(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[str],
    weights: dict[str, Array],
    *,
    opset: int = 17,
) -> onnx.ModelProto:
    """A model; outputs are FP32 of any shape."""
    return helper.make_model(
        helper.make_graph(
            nodes,
            "tiny",
            inputs,
            [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
            [numpy_helper.from_array(array, name) for name, array in weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=8,
    )


def convolutions(*, opset: int = 17, constants: bool = False) -> onnx.ModelProto:
    """Conv, Relu, depthwise Conv, Conv with the bias of the first, mean over pixels, Gemm.

    Takes `x` [batch, 3, height, width] and gives `y` [batch, 4].

    Args:
        opset: from 11 on.
        constants: weights are Constant nodes, as PaddlePaddle exports them.
    """
    generator = np.random.default_rng(1)

    def weight(*shape: int) -> Array:
        scaled: Array = generator.normal(size=shape) / np.sqrt(np.prod(shape[1:]))
        return scaled.astype(np.float32)

    weights = {"w1": weight(8, 3, 3, 3), "b": weight(8), "w2": weight(8, 1, 3, 3), "w3": weight(8, 8, 3, 3),
               "w4": weight(8, 4), "b4": weight(4)}  # fmt: skip
    make = helper.make_node
    nodes = [
        make("Conv", ["x", "w1", "b"], ["c1"], name="first", pads=[1] * 4),
        make("Relu", ["c1"], ["r1"], name="relu"),
        make("Conv", ["r1", "w2"], ["c2"], name="depthwise", pads=[1] * 4, group=8),
        make("Conv", ["c2", "w3", "b"], ["c3"], name="second", pads=[1] * 4),
        make("GlobalAveragePool", ["c3"], ["pooled"], name="mean"),
        make("Flatten", ["pooled"], ["flat"], name="flatten"),
        make("Gemm", ["flat", "w4", "b4"], ["y"], name="scores"),
    ]
    if constants:
        values = {name: numpy_helper.from_array(array) for name, array in weights.items()}
        nodes = [make("Constant", [], [name], value=value) for name, value in values.items()] + nodes
        weights = {}
    x = helper.make_tensor_value_info("x", FLOAT, ["batch", 3, "height", "width"])
    return graph(nodes, [x], ["y"], weights, opset=opset)


def attention() -> onnx.ModelProto:
    """MatMul by weights, and of two activations; [batch, tokens, 8] to the same."""
    generator = np.random.default_rng(2)
    weights = {name: generator.normal(size=(8, 8)).astype(np.float32) / 3 for name in ("wq", "wk")}
    make = helper.make_node
    nodes = [
        make("MatMul", ["x", "wq"], ["q"], name="query"),
        make("MatMul", ["x", "wk"], ["k"], name="key"),
        make("Transpose", ["k"], ["kt"], name="transpose", perm=[0, 2, 1]),
        make("MatMul", ["q", "kt"], ["scores"], name="match"),
        make("Softmax", ["scores"], ["share"], name="softmax"),
        make("MatMul", ["share", "x"], ["y"], name="mix"),
    ]
    return graph(nodes, [helper.make_tensor_value_info("x", FLOAT, ["batch", "tokens", 8])], ["y"], weights)
