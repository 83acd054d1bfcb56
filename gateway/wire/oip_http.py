"""The Open Inference Protocol over HTTP, sans I/O: request lines and heads to `Route`s and back.

Rules:
- The route table is closed: what is not in it does not exist. Paths are compared as they are on the wire, because
  Triton does not percent-decode either; nothing is normalised on the way.
- A body is a JSON head and, when `Inference-Header-Content-Length` says where the head ends, raw tensor bytes. Only
  the head is ever looked at, and of it only how deep it nests: Triton's own parser is recursive.
- Statuses and bodies of refusals are Triton's.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from gateway.core.call import Call, Metadata, Operation
from gateway.core.errors import InvalidRequest, MethodNotAllowed, UnknownRoute, UnsupportedFeature

HEAD_LENGTH = b"inference-header-content-length"
MAX_JSON_DEPTH = 100
"""Deepest nesting of a JSON head; Triton's own limit since it has one (2.51 has none and overflows its stack)."""


class Route(NamedTuple):
    """What a request line asks for."""

    operation: Operation
    model: str = ""
    version: str = ""


# Path (or what follows the model) -> the one method it takes and what it means. Source: Triton's http_server.cc and
# the KServe v2 protocol.
_SERVER_ROUTES: dict[bytes, tuple[bytes, Operation]] = {
    b"/v2": (b"GET", Operation.SERVER_METADATA),
    b"/v2/health/live": (b"GET", Operation.SERVER_LIVE),
    b"/v2/health/ready": (b"GET", Operation.SERVER_READY),
    b"/v2/repository/index": (b"POST", Operation.REPOSITORY_INDEX),
}
_MODEL_ROUTES: dict[bytes, tuple[bytes, Operation]] = {
    b"": (b"GET", Operation.MODEL_METADATA),
    b"config": (b"GET", Operation.MODEL_CONFIG),
    b"infer": (b"POST", Operation.INFER),
    b"ready": (b"GET", Operation.MODEL_READY),
}
_METHODS = {operation: method for method, operation in (*_SERVER_ROUTES.values(), *_MODEL_ROUTES.values())}
_SERVER_PATHS = {operation: path for path, (_, operation) in _SERVER_ROUTES.items()}
_MODEL_SUFFIXES = {operation: b"/" + tail if tail else b"" for tail, (_, operation) in _MODEL_ROUTES.items()}

# What a client may say to Triton; connection and hop-by-hop headers are the gateway's own on either side.
_REQUEST_HEADERS = frozenset(
    {b"accept-encoding", b"content-type", b"endpoint-load-metrics-format", b"traceparent", b"tracestate", HEAD_LENGTH}
)
_REPLY_HEADERS = frozenset({b"content-encoding", b"content-type", b"endpoint-load-metrics", HEAD_LENGTH})

_JSON_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_TOO_DEEP = b"[" * (MAX_JSON_DEPTH + 1)
_PASSES = 8  # as many readings of all brackets are paid for; a tensor needs at most its rank


def match(method: bytes, path: bytes) -> Route:
    """The route of a request line; `path` is as on the wire, without the query.

    Raises:
        UnknownRoute: the path is not in the table.
        MethodNotAllowed: the path is, with another method.
    """
    entry = _SERVER_ROUTES.get(path)
    if entry is not None:
        route = Route(entry[1])
    else:
        entry, model, version = _match_model(path)
        route = Route(entry[1], model, version)
    if entry[0] != method:
        raise MethodNotAllowed("Method Not Allowed", allowed=entry[0].decode())
    return route


def _match_model(path: bytes) -> tuple[tuple[bytes, Operation], str, str]:
    parts = path.split(b"/")  # "", "v2", "models", MODEL[, "versions", VERSION][, tail]
    if not 4 <= len(parts) <= 7 or parts[1:3] != [b"v2", b"models"] or not parts[3]:
        raise UnknownRoute("Not Found")
    version, tails = b"", parts[4:]
    if tails[:1] == [b"versions"]:
        version, tails = (tails[1] if len(tails) > 1 else b""), tails[2:]
        if not version.isdigit():
            raise UnknownRoute("Not Found")
    # A trailing slash is one more, empty, part: Triton has no such route.
    entry = _MODEL_ROUTES.get(tails[0] if tails else b"")
    if entry is None or tails == [b""] or len(tails) > 1:
        raise UnknownRoute("Not Found")
    return entry, parts[3].decode("latin-1"), version.decode()


def request_line(call: Call) -> bytes:
    """The request line by which Triton understands `call`, without its line end."""
    path = _SERVER_PATHS.get(call.operation)
    if path is None:
        path = b"/v2/models/" + call.model.encode("latin-1")
        if call.version:
            path += b"/versions/" + call.version.encode("latin-1")
        path += _MODEL_SUFFIXES[call.operation]
    return _METHODS[call.operation] + b" " + path + b" HTTP/1.1"


def request_metadata(headers: Metadata) -> Metadata:
    """The headers of a request that go on to Triton."""
    return tuple([pair for pair in headers if pair[0] in _REQUEST_HEADERS])


def reply_metadata(headers: Metadata) -> Metadata:
    """The headers of Triton's answer that go back to the client."""
    return tuple([pair for pair in headers if pair[0] in _REPLY_HEADERS])


def head_length(headers: Metadata, body_len: int) -> int:
    """How many bytes of a body are its JSON head: all, or what the header says (0: a raw single-input request).

    Raises:
        InvalidRequest: the header is not one plain number.
        UnsupportedFeature: the body is compressed.
    """
    length: int | None = None
    for name, value in headers:
        if name == HEAD_LENGTH:
            if length is not None or not value.isdigit() or len(value) > 10:
                raise InvalidRequest(
                    "Inference-Header-Content-Length must be given once, as the length of the JSON part in bytes"
                )
            length = int(value)
        elif name == b"content-encoding" and value.lower() != b"identity":
            raise UnsupportedFeature("Unsupported compression type: send the body uncompressed")
    return body_len if length is None else min(length, body_len)


def check_depth(body: bytes, head_len: int) -> None:
    """Refuse a JSON head that nests deeper than `MAX_JSON_DEPTH`.

    Counting brackets settles nearly every request. Otherwise strings are cut out and innermost pairs removed level by
    level, all in C; the data of a tensor shrinks by its innermost dimension each time, and what does not shrink so
    fast is no tensor, and is refused before it costs more.

    Raises:
        InvalidRequest: it does.
    """
    head = body if head_len == len(body) else body[:head_len]
    if head.count(b"[") + head.count(b"{") <= MAX_JSON_DEPTH:
        return
    brackets = _JSON_STRING.sub(b"", head).translate(_ONE_KIND, _NOT_BRACKETS)
    budget = _PASSES * len(brackets)
    while b"[]" in brackets and _TOO_DEEP not in brackets and budget > 0:
        budget -= len(brackets)
        brackets = brackets.replace(b"[]", b"")
    # What is left was never closed, and each opening of it is a level in the worst case, or was not worth the work.
    if brackets.count(b"[") > MAX_JSON_DEPTH:
        raise InvalidRequest(f"request JSON nests deeper than {MAX_JSON_DEPTH} levels; flatten 'data' to one array")
