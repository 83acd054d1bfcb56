"""Scaler, Normalizer, Imputer and Binarizer."""

from __future__ import annotations

import numpy as np
import onnx

from converters.to_onnx.lowering.emitter import Emitter


def lower_scaler(emit: Emitter) -> None:
    """Writes out a Scaler: (x - offset) * scale."""
    attributes = emit.attributes()
    rows = emit.as_float(emit.source.input[0])
    moved = emit("Sub", rows, emit.constant(attributes["offset"]))
    emit("Mul", moved, emit.constant(attributes["scale"]), output=emit.output(0))


def lower_normalizer(emit: Emitter) -> None:
    """Writes out a Normalizer; rows whose norm is zero stay as they are."""
    norm = emit.attributes().get("norm", "MAX")
    rows = emit.as_float(emit.source.input[0])
    last = emit.axes(-1)
    if norm == "L2":
        squares = emit("Mul", rows, rows)
        total = emit("ReduceSum", squares, last, keepdims=1)
        # The root of the ratio, as ONNX Runtime takes it: the root of a sum rounds differently.
        root = emit("Sqrt", emit("Div", squares, total))
        scaled = emit("Where", emit("Less", rows, emit.constant(0)), emit("Neg", root), root)
    elif norm == "L1":
        total = emit("ReduceSum", emit("Abs", rows), last, keepdims=1)
        scaled = emit("Div", rows, total)
    else:
        total = emit("ReduceMax", rows, last, keepdims=1)
        scaled = emit("Div", rows, total)
    emit("Where", emit("Equal", total, emit.constant(0)), rows, scaled, output=emit.output(0))


def lower_imputer(emit: Emitter) -> None:
    """Writes out an Imputer."""
    attributes, rows = emit.attributes(), emit.source.input[0]
    kind: type[np.generic]
    if "imputed_value_floats" in attributes:
        rows = emit.as_float(rows)
        replaced, values, kind = attributes["replaced_value_float"], attributes["imputed_value_floats"], np.float32
    else:
        replaced, values, kind = attributes["replaced_value_int64"], attributes["imputed_value_int64s"], np.int64
    missing = emit("IsNaN", rows) if np.isnan(replaced) else emit("Equal", rows, emit.constant(replaced, kind))
    emit("Where", missing, emit.constant(values, kind), rows, output=emit.output(0))


def lower_binarizer(emit: Emitter) -> None:
    """Writes out a Binarizer: 1 above the threshold, else 0."""
    rows = emit.as_float(emit.source.input[0])
    above = emit("Greater", rows, emit.constant(emit.attributes().get("threshold", 0.0)))
    emit("Cast", above, output=emit.output(0), to=onnx.TensorProto.FLOAT)
