"""Weighted sums of features in full float32, on every GPU.

TensorRT-RTX has no float32 matrix product for Turing (SM75), and TensorRT may round the factors of others to TF32,
which is enough to send a row another way in a tree. So products with few weights are written as a multiplication and a
sum.
"""

from __future__ import annotations

import numpy as np

from converters.arrays import Array
from converters.to_onnx.lowering.emitter import Emitter

MOST_WEIGHTS = 65_536


def product(emit: Emitter, rows: str, weights: Array) -> str:
    """Rows [..., features] times weights [outputs, features]: [..., outputs]."""
    if weights.size > MOST_WEIGHTS:
        return emit("MatMul", rows, emit.constant(np.ascontiguousarray(weights.T)))
    products = emit("Mul", emit("Unsqueeze", rows, emit.axes(-2)), emit.constant(weights))
    return emit("ReduceSum", products, emit.axes(-1), keepdims=0)


def lower_matmul(emit: Emitter) -> bool:
    """Writes out a MatMul with few constant weights; False if it is another one, which stays."""
    weights = _weights(emit)
    if weights is None:
        return False
    emit("Identity", product(emit, emit.source.input[0], weights.T), output=emit.output(0))
    return True


def lower_gemm(emit: Emitter) -> bool:
    """Writes out a Gemm with few constant weights; False if it is another one, which stays."""
    attributes, weights = emit.attributes(), _weights(emit)
    if weights is None or attributes.get("transA", 0):
        return False
    by_output = weights if attributes.get("transB", 0) else weights.T
    result = product(emit, emit.source.input[0], by_output * np.float32(attributes.get("alpha", 1.0)))
    if len(emit.source.input) > 2 and emit.source.input[2]:
        addend, beta = emit.source.input[2], attributes.get("beta", 1.0)
        result = emit("Add", result, addend if beta == 1 else emit("Mul", addend, emit.constant(beta)))
    emit("Identity", result, output=emit.output(0))
    return True


def _weights(emit: Emitter) -> Array | None:
    weights = emit.constant_before(emit.source.input[1])
    if weights is None or weights.ndim != 2 or weights.dtype != np.float32 or weights.size > MOST_WEIGHTS:
        return None
    return weights
