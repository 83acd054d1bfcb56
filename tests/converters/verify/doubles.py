"""Small graphs, data in memory, and runners of plain functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from converters.arrays import Array, Feeds


@dataclass(frozen=True, slots=True)
class Batches:
    batches: Sequence[Feeds]
    origin: str = "made-up data"
    digest: str = "00"

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Feeds]:
        return iter(self.batches)


@dataclass(slots=True)
class Heard:
    """A Progress that keeps what it is told."""

    stages: list[tuple[str, int | None]] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)

    def stage(self, name: str, total: int | None = None) -> None:
        self.stages.append((name, total))

    def step(self, done: int) -> None:
        self.steps.append(done)


@dataclass(slots=True)
class FunctionRunner:
    """A model that is a function."""

    function: Callable[[Feeds], Mapping[str, Array]]
    name: str = "function 1"
    runs: int = 0
    closed: bool = False

    def run(self, feeds: Feeds) -> Mapping[str, Array]:
        self.runs += 1
        return self.function(feeds)

    def close(self) -> None:
        self.closed = True


def graph(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, tuple[int, Sequence[int | str]]],
    outputs: Mapping[str, int],
    weights: Mapping[str, Array] | None = None,
    opset: int = 17,
) -> onnx.ModelProto:
    """A model; inputs by type and shape, outputs by type."""
    made = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (weights or {}).items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def doubling() -> onnx.ModelProto:
    """y = x + x, for a batch of three numbers each."""
    return graph(
        [helper.make_node("Add", ["x", "x"], ["y"], name="add")],
        {"x": (TensorProto.FLOAT, ["n", 3])},
        {"y": TensorProto.FLOAT},
    )
