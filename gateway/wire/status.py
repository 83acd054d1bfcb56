"""The one table from the error tree to HTTP and gRPC, and the error's own form in each.

Source of the codes: Triton's HTTP server maps NOT_FOUND to 404, UNAVAILABLE to 503, UNSUPPORTED to 501, INTERNAL to
500 and the rest to 400; what only a gateway says (413, 429, 504) follows HTTP and gRPC themselves.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from gateway.core import errors
from gateway.core.call import Metadata, Reply


class Status(NamedTuple):
    """An HTTP status and the gRPC code of the same meaning."""

    http: int
    grpc: int


OK = 0
CANCELLED = 1
INVALID_ARGUMENT = 3
DEADLINE_EXCEEDED = 4
NOT_FOUND = 5
PERMISSION_DENIED = 7
RESOURCE_EXHAUSTED = 8
UNIMPLEMENTED = 12
INTERNAL = 13
UNAVAILABLE = 14

TABLE: dict[type[Exception], Status] = {
    errors.MalformedMessage: Status(500, INTERNAL),  # of unparsable bytes Triton says INTERNAL over both protocols
    errors.UnknownRoute: Status(404, UNIMPLEMENTED),
    errors.MethodNotAllowed: Status(405, UNIMPLEMENTED),
    errors.RequestTooLarge: Status(413, RESOURCE_EXHAUSTED),
    errors.UnsupportedFeature: Status(501, UNIMPLEMENTED),
    errors.Forbidden: Status(403, PERMISSION_DENIED),
    errors.InvalidRequest: Status(400, INVALID_ARGUMENT),
    errors.Overloaded: Status(429, RESOURCE_EXHAUSTED),
    errors.ShuttingDown: Status(503, UNAVAILABLE),
    errors.ClientGone: Status(499, CANCELLED),  # seen in logs alone: 499 is nginx's word for it
    errors.DeadlineExceeded: Status(504, DEADLINE_EXCEEDED),
    errors.UpstreamError: Status(503, UNAVAILABLE),
    Exception: Status(500, INTERNAL),
}


def status_of(error: Exception) -> Status:
    """The status of `error`: the entry of the nearest class it inherits from."""
    for kind in type(error).__mro__:
        if kind in TABLE:
            return TABLE[kind]
    return TABLE[Exception]


def message_of(error: Exception) -> str:
    """What the client may read: our own errors' words, and nothing of a bug's."""
    if isinstance(error, errors.GatewayError):
        return error.message
    return "internal error in the gateway; its log has the details under this reply's request id"


def http_reply(error: Exception) -> Reply:
    """`error` in the form of Triton's HTTP errors: `{"error": "..."}`."""
    body = json.dumps({"error": message_of(error)}, separators=(",", ":")).encode()
    metadata: Metadata = ((b"content-type", b"application/json"),)
    if isinstance(error, errors.MethodNotAllowed):
        metadata += ((b"allow", error.allowed.encode()),)
    return Reply(status_of(error).http, metadata + _retry_after(error), body)


def grpc_reply(error: Exception) -> Reply:
    """`error` as a gRPC status."""
    return Reply(status_of(error).grpc, _retry_after(error), message=message_of(error))


def _retry_after(error: Exception) -> Metadata:
    """When to try again, for errors that pass."""
    if isinstance(error, errors.GatewayError) and error.retry_after is not None:
        return ((b"retry-after", b"%d" % error.retry_after),)
    return ()
