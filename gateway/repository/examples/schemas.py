"""JSON Schemas of a model's requests and answers: exact in names, datatypes and shapes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.repository.catalog import Entry
from gateway.repository.description import Tensor
from gateway.repository.examples.values import INTEGERS, NOT_IN_JSON

Schema = dict[str, Any]


def schemas(entry: Entry) -> dict[str, Schema]:
    """The schemas by name: `Request`, `Response`, `Error`, and what they are made of.

    Args:
        entry: the model; its signature must be known.
    """
    inputs = {f"Input{number}": tensor for number, tensor in enumerate(entry.inputs, 1)}
    outputs = {f"Output{number}": tensor for number, tensor in enumerate(entry.outputs, 1)}
    datatypes = sorted({tensor.datatype for tensor in entry.inputs} - NOT_IN_JSON)
    return {
        "Request": _request(entry, inputs),
        "Response": _response(entry, outputs),
        **{name: _tensor(tensor, _data_ref(tensor)) for name, tensor in inputs.items()},
        **{name: _tensor(tensor, _flat(tensor)) for name, tensor in outputs.items()},
        **{f"Data{datatype}": _data(datatype) for datatype in datatypes},
        "Error": _object({"error": {"type": "string"}}, "error"),
    }


def _request(entry: Entry, inputs: Mapping[str, Tensor]) -> Schema:
    required = [_has(tensor) for tensor in entry.inputs if not tensor.optional]
    wanted = _object(
        {
            "name": {"enum": [tensor.name for tensor in entry.outputs]},
            "parameters": {
                "type": "object",
                "properties": {"binary_data": {"type": "boolean"}, "classification": {"type": "integer", "minimum": 0}},
            },
        },
        "name",
    )
    any_of_them = {
        "type": "array",
        "items": {"oneOf": _refs(inputs)},
        "minItems": len(required),
        "maxItems": len(inputs),
    }
    return _object(
        {
            "id": {"type": "string"},
            "parameters": {"type": "object"},
            "inputs": any_of_them | ({"allOf": required} if required else {}),
            "outputs": {"type": "array", "items": wanted, "description": "Those that are wanted; default: all."},
        },
        "inputs",
    )


def _response(entry: Entry, outputs: Mapping[str, Tensor]) -> Schema:
    return _object(
        {
            "id": {"type": "string"},
            "model_name": {"const": entry.name},
            "model_version": {"type": "string"},
            "parameters": {"type": "object"},
            "outputs": {"type": "array", "items": {"oneOf": _refs(outputs)}, "maxItems": len(outputs)},
        },
        "model_name",
        "outputs",
    )


def _tensor(tensor: Tensor, data: Schema) -> Schema:
    properties: Schema = {
        "name": {"const": tensor.name},
        "datatype": {"const": tensor.datatype},
        "shape": _shape(tensor.shape),
    }
    if tensor.datatype not in NOT_IN_JSON:
        return _object(properties | {"parameters": {"type": "object"}, "data": data}, *properties, "data")
    size = {"type": "integer", "minimum": 0, "description": "How many bytes its binary data takes."}
    properties["parameters"] = _object({"binary_data_size": size}, "binary_data_size")
    return _object(properties, *properties)


def _shape(shape: Sequence[int]) -> Schema:
    """Each dimension is what it must be, or any size."""
    dimensions = [{"const": size} if size >= 0 else {"type": "integer", "minimum": 0} for size in shape]
    each: Schema = {"prefixItems": dimensions, "items": False} if dimensions else {}
    return {"type": "array", "minItems": len(shape), "maxItems": len(shape)} | each


def _data_ref(tensor: Tensor) -> Schema:
    """The elements of an input: nested as the shape is, or flat."""
    return {"$ref": f"#/components/schemas/Data{tensor.datatype}"}


def _data(datatype: str) -> Schema:
    nested = {"$ref": f"#/components/schemas/Data{datatype}"}
    return {"type": "array", "items": {"anyOf": [_element(datatype), nested]}}


def _flat(tensor: Tensor) -> Schema:
    """The elements of an output: flat, in row-major order."""
    schema: Schema = {"type": "array", "items": _element(tensor.datatype)}
    if any(size < 0 for size in tensor.shape):
        return schema
    count = math.prod(tensor.shape)
    return schema | {"minItems": count, "maxItems": count}


def _element(datatype: str) -> Schema:
    if datatype in INTEGERS:
        low, high = INTEGERS[datatype]
        return {"type": "integer", "minimum": low, "maximum": high}
    return {"type": {"BOOL": "boolean", "BYTES": "string"}.get(datatype, "number")}


def _has(tensor: Tensor) -> Schema:
    """What an array with this tensor fulfils."""
    return {"contains": _object({"name": {"const": tensor.name}}, "name")}


def _refs(names: Mapping[str, Tensor]) -> list[Schema]:
    return [{"$ref": f"#/components/schemas/{name}"} for name in names]


def _object(properties: Schema, *required: str) -> Schema:
    return {"type": "object", "required": list(required), "properties": properties}
