"""A small model, its configuration, and a bench to build it on, shared by the tests of the build's steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from converters.build.cache import StepCache
from converters.build.config import EnginesConfig
from converters.build.events import Event
from converters.build.workbench import Workbench

RTX = {"builder": "tensorrt_rtx", "compute_capabilities": [86, 120]}
CPU = {"builder": "onnxruntime"}


def small_model(scale: float = 1.0) -> onnx.ModelProto:
    """[batch, 8] -> Gemm -> Relu -> MatMul -> Sigmoid -> MatMul -> [batch, 4], with random weights."""
    random = np.random.default_rng(7)
    weights = {
        "w1": random.normal(0, 0.5, (8, 16)) * scale,
        "b1": random.normal(0, 0.1, 16),
        "w2": random.normal(0, 0.5, (16, 16)),
        "w3": random.normal(0, 0.5, (16, 4)),
    }
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["h"], name="first"),
        helper.make_node("Relu", ["h"], ["r"], name="relu"),
        helper.make_node("MatMul", ["r", "w2"], ["s"], name="second"),
        helper.make_node("Sigmoid", ["s"], ["t"], name="sigmoid"),
        helper.make_node("MatMul", ["t", "w3"], ["y"], name="third"),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def write_inputs(folder: Path) -> None:
    """`small.onnx` and data for it."""
    onnx.save(small_model(), folder / "small.onnx")
    random = np.random.default_rng(3)
    np.savez(folder / "calibration.npz", x=random.normal(0, 1, (32, 8)).astype(np.float32))
    np.savez(folder / "verification.npz", x=random.normal(0, 1, (16, 8)).astype(np.float32))


def configuration(variants: dict[str, Any], **model: Any) -> EnginesConfig:
    """One model `small` with these variants."""
    section = {
        "source": "small.onnx",
        "data": {
            "calibration": {"npz": "calibration.npz", "batch_size": 8},
            "verification": {"npz": "verification.npz", "batch_size": 8},
        },
        "batch": {"min": 1, "opt": 4, "max": 8},
        "targets": ["cpu"],
        "variants": variants,
    }
    return EnginesConfig.model_validate(
        {
            "output": "out",
            "repository": "out/repository",
            "targets": {"rtx": RTX, "cpu": CPU},
            "models": {"small": section | model},
        }
    )


@dataclass(slots=True)
class Told:
    """Collects what a build tells."""

    events: list[Event] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        """Take one event."""
        self.events.append(event)

    def states(self, step: str) -> list[str]:
        """How a step ended, each time."""
        return [event.state for event in self.events if event.step == step and event.state != "works"]


def workbench(folder: Path, config: EnginesConfig, told: Told | None = None) -> Workbench:
    """A bench for the small model in a folder that `write_inputs` filled."""
    return Workbench("small", config, folder, StepCache(folder / "out/cache"), told or Told(), threads=1)
