"""ArrayFeatureExtractor, FeatureVectorizer, OneHotEncoder, LabelEncoder and ZipMap: what moves features about."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from converters.arrays import Array
from converters.to_onnx.lowering.emitter import Emitter
from converters.to_onnx.lowering.traversal import SPLITS


def lower_extractor(emit: Emitter) -> None:
    """Writes out an ArrayFeatureExtractor, which takes columns; text labels taken by index stay indices."""
    values, wanted = emit.source.input
    indices = emit.constant_before(wanted)
    flat = emit("Reshape", wanted, emit.axes(-1)) if indices is None else emit.axes(*indices.reshape(-1).tolist())
    before = emit.constant_before(values)
    if before is not None and before.dtype.kind in "OSU":
        texts = (text.decode() if isinstance(text, bytes) else str(text) for text in before.reshape(-1).tolist())
        emit.labels[emit.output(0)] = tuple(texts)
        emit("Reshape", flat, emit.axes(1, -1), output=emit.output(0))
        return
    if before is not None and before.ndim == 1:
        values = emit.constant(before.reshape(1, -1), before.dtype)
    emit("Gather", values, flat, output=emit.output(0), axis=-1)


def lower_vectorizer(emit: Emitter) -> None:
    """Writes out a FeatureVectorizer, which puts inputs side by side."""
    emit("Concat", *(emit.as_float(name) for name in emit.source.input), output=emit.output(0), axis=1)


def lower_encoder(emit: Emitter) -> None:
    """Writes out a OneHotEncoder of numbers; a number that is none of the categories gives zeros."""
    attributes = emit.attributes()
    if "cats_int64s" not in attributes:
        emit.refuse("its categories are text, which TensorRT does not know", "encode text before it is sent")
    wide = emit("Unsqueeze", emit("Cast", emit.source.input[0], to=onnx.TensorProto.INT64), emit.axes(-1))
    same = emit("Equal", wide, emit.constant(attributes["cats_int64s"], np.int64))
    emit("Cast", same, output=emit.output(0), to=onnx.TensorProto.FLOAT)


def lower_label_encoder(emit: Emitter) -> None:
    """Writes out a LabelEncoder from numbers to numbers; to text if it gives names to the indices 0, 1, 2 ..."""
    attributes = emit.attributes()
    keys, values = _listed(attributes, "keys"), _listed(attributes, "values")
    if keys.dtype.kind not in "if" or np.float64 in (keys.dtype, values.dtype):
        emit.refuse("it translates text or float64, which TensorRT does not know", "encode it before it is sent")
    if keys.dtype.kind == "f" and np.isnan(keys).any():
        # Whether a missing value finds such a key depends on the operator's version in ONNX Runtime.
        emit.refuse("one of its keys is NaN", "replace missing values before (scikit-learn: SimpleImputer)")
    if values.dtype.kind not in "if":
        if keys.tolist() != list(range(len(keys))):
            emit.refuse("it gives text, which TensorRT does not know", "convert the model with numbers as labels")
        emit.labels[emit.output(0)] = tuple(value.decode() for value in values.tolist())
        emit("Identity", emit.source.input[0], output=emit.output(0))
        return
    wide = emit("Unsqueeze", emit.source.input[0], emit.axes(-1))
    # Numbers that a tree gave are compared: those after 2048 are not whole in half precision.
    same = emit("Equal", wide, emit.constant(keys, keys.dtype), part=SPLITS)
    found = emit("Cast", same, to=onnx.TensorProto.INT32)
    value = emit("Gather", emit.constant(values, values.dtype), emit("ArgMax", found, axis=-1, keepdims=0))
    known = emit("Greater", emit("ReduceMax", found, emit.axes(-1), keepdims=0), emit.constant(0, np.int32))
    default = emit.constant(_default(attributes, values), values.dtype)
    emit("Where", known, value, default, output=emit.output(0))


def _listed(attributes: dict[str, Any], name: str) -> Array:
    """Keys or values, which are in one of four attributes."""
    if f"{name}_tensor" in attributes:
        return np.asarray(onnx.numpy_helper.to_array(attributes[f"{name}_tensor"]))
    for kind, dtype in (("int64s", np.int64), ("floats", np.float32), ("strings", np.bytes_)):
        if f"{name}_{kind}" in attributes:
            return np.asarray(attributes[f"{name}_{kind}"], dtype)
    return np.zeros(0, np.bytes_)


def _default(attributes: dict[str, Any], values: Array) -> Any:
    if "default_tensor" in attributes:
        return onnx.numpy_helper.to_array(attributes["default_tensor"]).reshape(())
    return attributes.get("default_float", -0.0) if values.dtype.kind == "f" else attributes.get("default_int64", -1)


def lower_zipmap(emit: Emitter) -> None:
    """Takes a ZipMap away: scores come out as a tensor, not as a list of dictionaries."""
    emit("Identity", emit.source.input[0], output=emit.output(0))
