"""What Triton says of a model that it does not have, for names that are not to be called though they exist.

Source: Triton 2.51's own answers, over both protocols.
"""

from __future__ import annotations

import json

from gateway.core.call import Call, Operation, Protocol, Reply
from gateway.wire import status

_TEXT = ((b"content-type", b"text/plain"),)
_JSON = ((b"content-type", b"application/json"),)
_NOT_READY = b'{"error":"Model version not ready"}'


def words(model: str) -> str:
    """What an inference, or a question about the model, is told."""
    return f"Request for unknown model: '{model}' is not found"


def reply(call: Call) -> Reply:
    """Triton's answer to `call`, which names a model that does not exist."""
    http, operation = call.protocol is Protocol.HTTP, call.operation
    if operation is Operation.MODEL_READY:  # over gRPC an empty message says no
        return Reply(400, _TEXT, _NOT_READY) if http else Reply(status.OK)
    if operation is Operation.MODEL_STATISTICS:
        said, code = f"requested model '{call.model}' is not available", 400 if http else status.INVALID_ARGUMENT
    else:
        said, code = words(call.model), 404 if http else status.NOT_FOUND
    if not http:
        return Reply(code, message=said)
    body = json.dumps({"error": said}, separators=(",", ":"), ensure_ascii=False).encode()
    return Reply(code, _TEXT if operation is Operation.INFER else _JSON, body)
