"""What a graph computes in, by the element types of all that is in it."""

from __future__ import annotations

import onnx

from converters.graph.types import types_in
from converters.precision.base import Precision
from converters.precision.low import FP8, LOW_FLOATS

_CODES = onnx.TensorProto


def precision_of(model: onnx.ModelProto) -> Precision:
    """The lowest precision that a graph computes in: by its element types, and INT8 only by Q/DQ."""
    types = types_in(model)
    quantises = any(node.op_type == "DequantizeLinear" for node in model.graph.node)
    if quantises and types & FP8:
        return "fp8"
    if quantises:
        return "int8"
    if _CODES.BFLOAT16 in types:
        return "bf16"
    return "fp16" if _CODES.FLOAT16 in types else "fp32"


def holds_low_floats(model: onnx.ModelProto) -> bool:
    """Whether a graph has FP16, BF16 or FP8 tensors, so that it is to be emulated on a CPU."""
    return not types_in(model).isdisjoint({*FP8, *(low.code for low in LOW_FLOATS)})
