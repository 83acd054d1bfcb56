"""Loading and unloading a model over HTTP, translated to the same call over gRPC and back.

HTTP stays HTTP everywhere but here: Triton loads a model in the thread that its HTTP server took the request in, and
all other connections of that thread stand still until the model is loaded (6-7 s were measured). Its gRPC server has
no such trouble.

Source: `HandleRepositoryControl` of Triton's http_server.cc; RepositoryModelLoadRequest in grpc_service.proto.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from msgspec.structs import replace

from gateway.core.call import Body, Call, Operation, Protocol, Reply
from gateway.core.errors import InvalidRequest, MalformedMessage
from gateway.wire import status
from gateway.wire.protobuf import encode_varint, length_delimited

_METHOD = {
    Operation.LOAD_MODEL: b"/inference.GRPCInferenceService/RepositoryModelLoad",
    Operation.UNLOAD_MODEL: b"/inference.GRPCInferenceService/RepositoryModelUnload",
}
_MODEL_NAME, _PARAMETERS = 2, 3  # fields of both requests
_KEY, _VALUE = 1, 2  # of an entry of a map
_BOOL, _INT64, _STRING, _BYTES = 1, 2, 3, 4  # of ModelRepositoryParameter

# What Triton's HTTP server makes of the codes; all others are 400.
_HTTP = {
    status.OK: 200,
    status.NOT_FOUND: 404,
    status.UNIMPLEMENTED: 501,
    status.INTERNAL: 500,
    status.UNAVAILABLE: 503,
}
_JSON = (b"content-type", b"application/json")


def to_grpc(call: Call) -> Call:
    """The gRPC call that does what the HTTP call `call`, a load or an unload, asks for.

    Raises:
        MalformedMessage: its body is not JSON.
        InvalidRequest: a parameter is not what it must be.
    """
    message = length_delimited(_MODEL_NAME, call.model.encode("latin-1"))  # the bytes of the path as they came
    for name, value in _parameters(call.body).items():
        entry = length_delimited(_KEY, _text(name, name)) + length_delimited(_VALUE, _parameter(name, value))
        message += length_delimited(_PARAMETERS, entry)
    return replace(
        call, protocol=Protocol.GRPC, line=_METHOD[call.operation], metadata=(), body=message, head_len=len(message)
    )


def to_http(reply: Reply) -> Reply:
    """The HTTP reply that says what the gRPC reply to such a call says."""
    code = _HTTP.get(reply.status, 400)
    if reply.status == status.OK:
        return Reply(code)
    return Reply(code, (_JSON,), json.dumps({"error": reply.message}, separators=(",", ":")).encode())


def _parameters(body: Body) -> dict[str, Any]:
    if not body:
        return {}
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        raise MalformedMessage("failed to parse the request JSON buffer; send a JSON object") from None
    parameters = request.get("parameters", {}) if isinstance(request, dict) else None
    if not isinstance(parameters, dict):
        raise InvalidRequest("the body must be a JSON object, and its 'parameters' one too")
    return parameters


def _parameter(name: str, value: object) -> bytes:
    """A ModelRepositoryParameter."""
    if isinstance(value, bool):
        return encode_varint(_BOOL << 3) + encode_varint(value)
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise InvalidRequest(f"parameters.{name}: the number must fit into 64 bits")
        return encode_varint(_INT64 << 3) + encode_varint(value)
    if not isinstance(value, str):
        raise InvalidRequest(f"parameters.{name} must be a string, a number or a boolean")
    if not name.startswith("file:"):
        return length_delimited(_STRING, _text(name, value))
    try:
        return length_delimited(_BYTES, base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        raise InvalidRequest(f"parameters.{name} must be the file's content in base64") from None


def _text(name: str, value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:  # JSON can spell half of a surrogate pair
        raise InvalidRequest(f"parameters.{name!a} is not Unicode text") from None
