"""A `config.pbtxt` in the form in which Triton hands it to a backend: as JSON."""

from __future__ import annotations

from typing import Any


def as_json(message: Any) -> dict[str, Any]:
    """Plain values of a protobuf message by the names of its fields, with those that have their default value.

    Unlike protobuf's own form, and like Triton's, 64-bit integers are numbers.

    Args:
        message: such as `handwritten.parse` gives.
    """
    return {
        field.name: _value(field, getattr(message, field.name))
        for field in message.DESCRIPTOR.fields
        if not field.has_presence or message.HasField(field.name)
    }


def _value(field: Any, value: Any) -> Any:
    if field.message_type and field.message_type.GetOptions().map_entry:
        inner = field.message_type.fields_by_name["value"]
        return {str(key): _single(inner, each) for key, each in value.items()}
    if isinstance(value, str | bytes | bool | int | float) or field.has_presence:
        return _single(field, value)
    return [_single(field, each) for each in value]


def _single(field: Any, value: Any) -> Any:
    if field.enum_type:
        found = field.enum_type.values_by_number.get(value)
        return found.name if found else value
    if field.message_type:
        return as_json(value)
    return value.decode("latin-1") if isinstance(value, bytes) else value
