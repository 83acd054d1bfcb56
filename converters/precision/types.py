"""The element types that a graph computes with, and the precision that they amount to."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from converters.precision.base import Precision

_CODES = onnx.TensorProto
_FP8 = frozenset({_CODES.FLOAT8E4M3FN, _CODES.FLOAT8E4M3FNUZ, _CODES.FLOAT8E5M2, _CODES.FLOAT8E5M2FNUZ})
_NAMES_A_TYPE = frozenset({"to", "dtype", "output_dtype"})


def element_types(model: onnx.ModelProto) -> frozenset[int]:
    """The ONNX element types of all that is known of a graph: inputs, outputs, weights, constants and casts."""
    return frozenset(_types(model.graph)) - {_CODES.UNDEFINED}


def precision_of(model: onnx.ModelProto) -> Precision:
    """The lowest precision that a graph computes in: by its element types, and INT8 only by Q/DQ."""
    types = element_types(model)
    quantises = any(node.op_type == "DequantizeLinear" for node in model.graph.node)
    if quantises and types & _FP8:
        return "fp8"
    if quantises:
        return "int8"
    if _CODES.BFLOAT16 in types:
        return "bf16"
    return "fp16" if _CODES.FLOAT16 in types else "fp32"


def _types(graph: onnx.GraphProto) -> Iterator[int]:
    yield from (weight.data_type for weight in graph.initializer)
    yield from (v.type.tensor_type.elem_type for v in (*graph.input, *graph.output, *graph.value_info))
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name in _NAMES_A_TYPE:
                yield attribute.i
            yield from (tensor.data_type for tensor in (attribute.t, *attribute.tensors))
            for inner in (attribute.g, *attribute.graphs):
                yield from _types(inner)
