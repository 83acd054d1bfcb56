"""What the tensors of models over rows of features are called."""

from __future__ import annotations

import onnx

INPUT = "input"


def free_rows(model: onnx.ModelProto) -> None:
    """Let the first dimension of every output be dynamic: onnxmltools fixes that of LightGBM's labels to 1."""
    for value in model.graph.output:
        dimensions = value.type.tensor_type.shape.dim
        if dimensions:
            dimensions[0].Clear()
