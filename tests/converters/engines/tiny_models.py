"""Models of one or two nodes, and a progress that remembers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from converters.engines.base import Profile, Range


def model(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[int | str] | None],
    outputs: dict[str, list[int | str]],
    weights: dict[str, Any] | None = None,
    kind: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    made = [
        value if isinstance(value, onnx.TensorProto) else numpy_helper.from_array(value)
        for value in (weights or {}).values()
    ]
    for tensor, name in zip(made, weights or {}, strict=True):
        tensor.name = name
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in outputs.items()],
        made,
    )
    opsets = [helper.make_opsetid(domain, 19 if not domain else 1) for domain in {"", *(node.domain for node in nodes)}]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def convolution(batch: int | str = "N", channels: int = 4, side: int | str = 8) -> onnx.ModelProto:
    weight = np.random.default_rng(0).standard_normal((channels, 3, 3, 3)).astype(np.float32)
    return model(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], name="conv", pads=[1] * 4),
            helper.make_node("Relu", ["c"], ["y"], name="relu"),
        ],
        {"x": [batch, 3, side, side]},
        {"y": [batch, channels, side, side]},
        {"w": weight},
    )


def batches(low: int = 1, opt: int = 2, high: int = 4) -> tuple[Profile, ...]:
    """For `convolution()`."""
    return ({"x": Range((low, 3, 8, 8), (opt, 3, 8, 8), (high, 3, 8, 8))},)


def product() -> onnx.ModelProto:
    """A matrix product in FP32."""
    weight = np.eye(32, dtype=np.float32)
    return model(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")], {"x": [4, 32]}, {"y": [4, 32]}, {"w": weight}
    )


def quantised(zero_point: int, value: int = 0) -> onnx.ModelProto:
    """A convolution between QuantizeLinear and DequantizeLinear with this type of zero point."""
    scale = np.array(0.1, np.float32)
    weight = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    return model(
        [
            helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"], name="quantise_x"),
            helper.make_node("DequantizeLinear", ["xq", "s", "z"], ["xd"], name="dequantise_x"),
            helper.make_node("QuantizeLinear", ["w", "s", "z"], ["wq"], name="quantise_w"),
            helper.make_node("DequantizeLinear", ["wq", "s", "z"], ["wd"], name="dequantise_w"),
            helper.make_node("Conv", ["xd", "wd"], ["y"], name="conv", pads=[1] * 4),
        ],
        {"x": [1, 3, 8, 8]},
        {"y": [1, 4, 8, 8]},
        {"w": weight, "s": scale, "z": helper.make_tensor("z", zero_point, [], [value])},
    )


def cast_to(kind: int) -> onnx.ModelProto:
    return model(
        [
            helper.make_node("Cast", ["x"], ["h"], name="down", to=kind),
            helper.make_node("Add", ["h", "h"], ["t"], name="twice"),
            helper.make_node("Cast", ["t"], ["y"], name="up", to=TensorProto.FLOAT),
        ],
        {"x": [2, 3]},
        {"y": [2, 3]},
    )


def foreign() -> onnx.ModelProto:
    """An operator that is no one's."""
    return model([helper.make_node("Swirl", ["x"], ["y"], name="swirl", domain="acme.ops")], {"x": [2]}, {"y": [2]})


@dataclass(slots=True)
class Seen:
    """Progress that remembers, and does something at each step if asked to."""

    stages: list[tuple[str, int | None]] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    at_step: Callable[[], None] = lambda: None

    def stage(self, name: str, total: int | None = None) -> None:
        self.stages.append((name, total))

    def step(self, done: int) -> None:
        self.steps.append(done)
        self.at_step()
