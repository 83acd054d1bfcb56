"""The OpenAPI description of one model: the protocol is the same for all models, the tensors are this one's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.repository.catalog import Entry
from gateway.repository.examples.schemas import schemas
from gateway.repository.examples.values import NOT_IN_JSON, Value, example_values, made_up, requested_outputs

_HEAD_LENGTH = "Inference-Header-Content-Length"
_ERROR = {"$ref": "#/components/responses/Error"}
_ANSWERS: Mapping[str, str] = {
    "400": "The request is not what the model takes.",
    "404": "The model is not served.",
    "413": "The request is larger than the gateway takes.",
    "429": "There is no room for the request right now; try again later.",
    "503": "The model cannot be reached right now.",
    "504": "The request's time was up.",
}


def openapi(entry: Entry, base_url: str) -> dict[str, Any]:
    """An OpenAPI 3.1 document.

    Args:
        entry: the model; its signature must be known.
        base_url: of the gateway's HTTP front end, without a path.
    """
    model = f"/v2/models/{entry.name}"
    about = entry.description
    kind = f" ({about.kind}, served by {about.backend})" if about else ""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": entry.name,
            "version": str(entry.version or 0),
            "description": f"The model {entry.name}{kind}, by the Open Inference Protocol.",
        },
        "servers": [{"url": base_url}],
        "paths": {
            f"{model}/infer": {"post": _infer(entry)},
            f"{model}/ready": {"get": _ready()},
            model: {"get": _get("metadata", "Its versions, inputs and outputs.")},
            f"{model}/config": {"get": _get("config", "Its configuration, as Triton has it.")},
            f"{model}/stats": {"get": _get("stats", "How often it was called and how long that took.")},
        },
        "components": {
            "schemas": schemas(entry),
            "responses": {
                "Error": {
                    "description": "What was wrong.",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
                }
            },
        },
    }


def _infer(entry: Entry) -> dict[str, Any]:
    binary = any(tensor.datatype in NOT_IN_JSON for tensor in entry.inputs)
    binary_answer = bool(requested_outputs(entry))
    operation: dict[str, Any] = {
        "operationId": "infer",
        "summary": f"Call {entry.name}.",
        "requestBody": {"required": True, "content": _content("Request", _request(entry), binary=binary)},
        "responses": {
            "200": {
                "description": "The model's answer.",
                "content": _content("Response", _response(entry), binary=binary_answer),
            },
            **_errors(*_ANSWERS),
        },
    }
    length = {"schema": {"type": "integer", "minimum": 1}, "description": "How many bytes the JSON in front takes."}
    if binary:
        operation["parameters"] = [{"name": _HEAD_LENGTH, "in": "header", "required": True, **length}]
    if binary_answer:
        operation["responses"]["200"]["headers"] = {_HEAD_LENGTH: length}
    return operation


def _content(schema: str, example: dict[str, Any] | None, *, binary: bool) -> dict[str, Any]:
    """JSON, or JSON with binary data behind it, of which OpenAPI can only tell in words."""
    if not binary:
        described = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
        return {"application/json": described | ({"example": example} if example else {})}
    words = (
        f"JSON as in `#/components/schemas/{schema}`, of which the header {_HEAD_LENGTH} gives the length in bytes; "
        "then, in the order of the tensors, the binary data of each that has `binary_data_size`, little-endian."
    )
    return {"application/octet-stream": {"schema": {"description": words}}}


def _ready() -> dict[str, Any]:
    return {
        "operationId": "ready",
        "summary": "Whether it can be called now.",
        "responses": {"200": {"description": "It can."}, "default": _ERROR},
    }


def _get(name: str, summary: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}}}
    return {
        "operationId": name,
        "summary": summary,
        "responses": {"200": {"description": summary, "content": content}, **_errors("404", "503")},
    }


def _errors(*codes: str) -> dict[str, Any]:
    return {code: _ERROR | {"description": _ANSWERS[code]} for code in codes}


def _request(entry: Entry) -> dict[str, Any] | None:
    values = example_values(entry)
    request = {"inputs": [_example(value) for value in values]} | requested_outputs(entry)
    return request if _are_short(values) else None


def _response(entry: Entry) -> dict[str, Any] | None:
    values = [made_up(output) for output in entry.outputs]
    answer = {"model_name": entry.name, "model_version": str(entry.version or 1)}
    return answer | {"outputs": [_example(value) for value in values]} if _are_short(values) else None


def _are_short(values: Iterable[Value]) -> bool:
    return all(value.data is not None for value in values)


def _example(value: Value) -> dict[str, Any]:
    return value.head() | {"data": list(value.data or ())}
