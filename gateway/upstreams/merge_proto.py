"""The two gRPC messages that are merged over several Tritons, as trees of dicts and back.

A codec of a few lines for two small messages; inference never comes here. Source: grpc_service.proto
(RepositoryIndexResponse, ModelStatisticsResponse) and the wire format of protocol buffers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from gateway.core.call import Body
from gateway.core.errors import MalformedMessage
from gateway.wire.protobuf import VARINT, encode_varint, fields, length_delimited, varint


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message.

    Attributes:
        name: its name, here as in Triton's JSON.
        kind: a number, a text, or the fields of a message by their numbers.
        shape: one, a list, or a map from texts to messages.
    """

    name: str
    kind: Literal["number", "text"] | Schema
    shape: Literal["one", "list", "map"] = "one"


Schema = dict[int, Field]

_DURATION: Schema = {1: Field("count", "number"), 2: Field("ns", "number")}


def _durations(*names: str) -> Schema:
    return {number: Field(name, _DURATION) for number, name in enumerate(names, 1)}


_INDEX_ROW: Schema = {n: Field(name, "text") for n, name in enumerate(("name", "version", "state", "reason"), 1)}
_INFERENCE = _durations(
    "success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss"
)
_BATCH: Schema = {
    1: Field("batch_size", "number"),
    2: Field("compute_input", _DURATION),
    3: Field("compute_infer", _DURATION),
    4: Field("compute_output", _DURATION),
}
_RESPONSE = _durations("compute_infer", "compute_output", "success", "fail", "empty_response", "cancel")
_MEMORY: Schema = {1: Field("type", "text"), 2: Field("id", "number"), 3: Field("byte_size", "number")}
_MODEL: Schema = {
    1: Field("name", "text"),
    2: Field("version", "text"),
    3: Field("last_inference", "number"),
    4: Field("inference_count", "number"),
    5: Field("execution_count", "number"),
    6: Field("inference_stats", _INFERENCE),
    7: Field("batch_stats", _BATCH, "list"),
    8: Field("memory_usage", _MEMORY, "list"),
    9: Field("response_stats", _RESPONSE, "map"),
}
INDEX: Schema = {1: Field("models", _INDEX_ROW, "list")}
STATISTICS: Schema = {1: Field("model_stats", _MODEL, "list")}


def decode(message: Body, schema: Schema) -> dict[str, Any]:
    """`message` as a tree; lists and maps are always in it, other fields where they are set.

    Raises:
        ValueError: the bytes are not such a message.
    """
    tree: dict[str, Any] = {f.name: [] if f.shape == "list" else {} for f in schema.values() if f.shape != "one"}
    try:
        for number, kind, start, end in fields(message):
            field = schema.get(number)
            if field is None:
                continue
            if (kind == VARINT) != (field.kind == "number"):
                raise ValueError(f"{field.name} has the wrong type")
            if kind == VARINT:
                tree[field.name], _ = varint(message, start)
            else:
                _put(tree, field, message[start:end])
    except MalformedMessage as error:
        raise ValueError(error.message) from error
    return tree


def encode(tree: dict[str, Any], schema: Schema) -> bytes:
    """`tree` as a message; what `schema` does not name is left out."""
    out = bytearray()
    for number, field in schema.items():
        value = tree.get(field.name)
        if not value and (field.shape == "map" or not isinstance(value, dict)):
            continue  # an empty message is not the same as none
        if field.shape == "list":
            values = list(value)
        elif field.shape == "map":
            values = [{"key": key, "value": entry} for key, entry in value.items()]
        else:
            values = [value]
        for one in values:
            out += _encode_one(number, field, one)
    return bytes(out)


def _encode_one(number: int, field: Field, value: Any) -> bytes:
    if field.kind == "number":
        return bytes([number << 3 | VARINT]) + encode_varint(value)
    return length_delimited(number, value.encode() if field.kind == "text" else encode(value, _entry_schema(field)))


def _put(tree: dict[str, Any], field: Field, content: Body) -> None:
    if field.kind == "text":
        tree[field.name] = content.decode()
        return
    entry = decode(content, _entry_schema(field))
    if field.shape == "list":
        tree[field.name].append(entry)
    elif field.shape == "map":
        tree[field.name][entry.get("key", "")] = entry.get("value", {})
    else:
        tree[field.name] = entry


def _entry_schema(field: Field) -> Schema:
    assert isinstance(field.kind, dict)  # noqa: S101 - for the type checker
    return {1: Field("key", "text"), 2: Field("value", field.kind)} if field.shape == "map" else field.kind
