"""Models to drop: small ONNX files, and Python models that misbehave."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import pytest

_MODEL = """
import triton_python_backend_utils as pb_utils
import numpy as np
import os, socket, subprocess, sys, time


class TritonPythonModel:
    def initialize(self, args):
        self.calls = 0
{initialize}

    def execute(self, requests):
        responses = []
        for request in requests:
            x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
            self.calls += 1
{execute}
            responses.append(pb_utils.InferenceResponse(output_tensors=[pb_utils.Tensor("y", y)]))
        return responses
"""

_SIDECAR = """
inputs:
  - {name: x, datatype: FP32, shape: [-1, 4]}
outputs:
  - {name: y, datatype: FP32, shape: [-1, 4]}
"""


def python_model(folder: Path, *, initialize: str = "pass", execute: str = "y = x * 2") -> Path:
    """A Python model folder: `x` to `y`, both FP32 [-1, 4], with these lines at its two places."""
    folder.mkdir()
    lines = {"initialize": (initialize, 8), "execute": (execute, 12)}
    code = _MODEL.format(**{name: indent(dedent(text), " " * depth) for name, (text, depth) in lines.items()})
    (folder / "model.py").write_text(code, encoding="utf-8")
    (folder / "model.yaml").write_text(_SIDECAR, encoding="utf-8")
    return folder


def onnx_model(path: Path, *operators: str) -> Path:
    """An ONNX file: `x` to `y`, both FP32 [batch, 4], through these operators, one after the other."""
    onnx = pytest.importorskip("onnx")
    make = onnx.helper
    names = ["x", *(f"between{index}" for index in range(1, len(operators))), "y"]
    nodes = [make.make_node(each, [names[i]], [names[i + 1]]) for i, each in enumerate(operators)]
    tensors = [make.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", 4]) for name in ("x", "y")]
    graph = make.make_graph(nodes, "graph", tensors[:1], tensors[1:])
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path))
    return path
