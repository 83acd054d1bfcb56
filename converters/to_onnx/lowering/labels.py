"""Text labels: TensorRT has no text, so a class's index comes out instead, and the labels go into the metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping

import onnx

from converters.to_onnx.lowering.emitter import Emitter

METADATA = "class_labels."
"""Followed by an output's name: the key in the model's metadata under which its labels are, as a JSON list."""


def lower_carrier(emit: Emitter) -> bool:
    """Lets an operator that only moves or casts labels do so with their indices; False for all other data."""
    texts = emit.labels.get(emit.source.input[0])
    if texts is None:
        return False
    emit.labels[emit.output(0)] = texts
    if emit.source.op_type == "Cast":
        emit("Identity", emit.source.input[0], output=emit.output(0))
        return True
    return False


def class_labels(model: onnx.ModelProto) -> Mapping[str, tuple[str, ...]]:
    """The text labels of outputs that give a class's index instead, by output."""
    return {
        entry.key.removeprefix(METADATA): tuple(json.loads(entry.value))
        for entry in model.metadata_props
        if entry.key.startswith(METADATA)
    }


def note_labels(model: onnx.ModelProto, labels: Mapping[str, tuple[str, ...]]) -> None:
    """Makes the outputs that had text integers, and writes their labels into the metadata."""
    for output in model.graph.output:
        if texts := labels.get(output.name):
            output.type.tensor_type.elem_type = onnx.TensorProto.INT64
            model.metadata_props.add(key=METADATA + output.name, value=json.dumps(texts, ensure_ascii=False))
