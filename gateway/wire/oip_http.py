"""The Open Inference Protocol over HTTP, sans I/O: request lines and heads to `Route`s and back.

Rules:
- The route table is closed: what is not in it does not exist. Paths are compared as they are on the wire, because
  Triton does not percent-decode either; nothing is normalised on the way.
- A name in a path is made of the characters that a URL's path may hold. Anything else (`#`, a space, bytes beyond
  ASCII) could end the name for one parser and not for another.
- Statuses and bodies of refusals are Triton's.

Source: Triton's http_server.cc and the KServe v2 protocol.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from gateway.core.call import Call, Metadata, Operation
from gateway.core.errors import InvalidRequest, MethodNotAllowed, UnknownRoute, UnsupportedFeature

HEAD_LENGTH = b"inference-header-content-length"


class Route(NamedTuple):
    """What a request line asks for.

    Attributes:
        operation: which call it is.
        line: method and path as they came.
        model: the model it is about; empty for the server.
        version: the version it is about; empty for "the server chooses".
    """

    operation: Operation
    line: bytes
    model: str = ""
    version: str = ""


class _Entry(NamedTuple):
    operation: Operation
    methods: tuple[bytes, ...]


_GET, _POST, _BOTH = (b"GET",), (b"POST",), (b"GET", b"POST")

_SERVER_ROUTES: dict[bytes, _Entry] = {
    b"/v2": _Entry(Operation.SERVER_METADATA, _GET),
    b"/v2/health/live": _Entry(Operation.SERVER_LIVE, _GET),
    b"/v2/health/ready": _Entry(Operation.SERVER_READY, _GET),
    b"/v2/models/stats": _Entry(Operation.MODEL_STATISTICS, _GET),
    b"/v2/trace/setting": _Entry(Operation.TRACE_SETTING, _BOTH),
    b"/v2/logging": _Entry(Operation.LOG_SETTING, _BOTH),
    b"/v2/repository/index": _Entry(Operation.REPOSITORY_INDEX, _POST),
}
# What follows the model, and its version if there is one.
_MODEL_ROUTES: dict[bytes, _Entry] = {
    b"": _Entry(Operation.MODEL_METADATA, _GET),
    b"/config": _Entry(Operation.MODEL_CONFIG, _GET),
    b"/generate": _Entry(Operation.GENERATE, _POST),
    b"/generate_stream": _Entry(Operation.GENERATE_STREAM, _POST),
    b"/infer": _Entry(Operation.INFER, _POST),
    b"/ready": _Entry(Operation.MODEL_READY, _GET),
    b"/stats": _Entry(Operation.MODEL_STATISTICS, _GET),
    b"/trace/setting": _Entry(Operation.TRACE_SETTING, _BOTH),
}
_REPOSITORY_ROUTES: dict[bytes, _Entry] = {
    b"load": _Entry(Operation.LOAD_MODEL, _POST),
    b"unload": _Entry(Operation.UNLOAD_MODEL, _POST),
}
_MEMORY_OPERATIONS = {
    b"systemsharedmemory": Operation.SYSTEM_SHARED_MEMORY,
    b"cudasharedmemory": Operation.CUDA_SHARED_MEMORY,
}
_MEMORY_METHODS = {b"status": _GET, b"register": _POST, b"unregister": _POST}

# Operations whose request line follows from operation, model and version; of the others it is what the client called.
_DERIVED = {
    entry.operation: (entry.methods[0], path)
    for path, entry in (*_SERVER_ROUTES.items(), *_MODEL_ROUTES.items())
    if len(entry.methods) == 1
}

# RFC 3986's pchar: what one segment of a path is made of.
_SEGMENT = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%!$&'()*+,;=:@"

# What a client may say to Triton; connection and hop-by-hop headers are the gateway's own on either side, and bodies
# go on uncompressed, so `content-encoding` stays behind.
_REQUEST_HEADERS = frozenset(
    {b"accept-encoding", b"content-type", b"endpoint-load-metrics-format", b"traceparent", b"tracestate", HEAD_LENGTH}
)
_REPLY_HEADERS = frozenset(
    {b"cache-control", b"content-encoding", b"content-type", b"endpoint-load-metrics", HEAD_LENGTH}
)

_REMEMBERED = 1024  # request lines that are looked up in one step; no client can make it grow
_MEMORABLE = 256  # characters of a model and its version
_ENCODINGS = {b"": "identity", b"identity": "identity", b"gzip": "gzip", b"deflate": "deflate"}


def match(method: bytes, path: bytes) -> Route:
    """The route of a request line; `path` is as on the wire, without the query.

    Raises:
        UnknownRoute: the path is not in the table.
        MethodNotAllowed: the path is, with another method.
        UnsupportedFeature: the path names a model repository, which Triton does not do.
    """
    return _remembered(method, path) if len(path) <= 256 else _match(method, path)  # long ones would cost memory


def _match(method: bytes, path: bytes) -> Route:
    model = version = ""
    entry = _SERVER_ROUTES.get(path)
    if entry is None:
        parts = path.split(b"/", 3)  # "", "v2", "models", what follows
        if len(parts) != 4 or parts[0] or parts[1] != b"v2":
            raise _unknown()
        if parts[2] == b"models":
            entry, model, version = _match_model(parts[3])
        elif parts[2] == b"repository":
            entry, model = _match_repository(parts[3])
        else:
            entry = _match_memory(parts[2], parts[3])
    if method not in entry.methods:
        raise MethodNotAllowed("Method Not Allowed", allowed=b", ".join(entry.methods).decode())
    return Route(entry.operation, method + b" " + path, model, version)


_remembered = lru_cache(_REMEMBERED)(_match)


def _match_model(rest: bytes) -> tuple[_Entry, str, str]:
    """MODEL[/versions/DIGITS][/what to do]."""
    model, slash, tail = rest.partition(b"/")
    version = b""
    if tail.startswith(b"versions/"):
        version, slash, tail = tail[9:].partition(b"/")
        if not version.isdigit():
            raise _unknown()
    entry = _MODEL_ROUTES.get(slash + tail)
    if entry is None:
        raise _unknown()
    return entry, _name(model), version.decode()


def _match_repository(rest: bytes) -> tuple[_Entry, str]:
    """[REPOSITORY/](index | models/MODEL/load | models/MODEL/unload), of which Triton does not do the first part."""
    parts = rest.split(b"/")
    if len(parts) == 3 and parts[0] == b"models" and parts[2] in _REPOSITORY_ROUTES:
        return _REPOSITORY_ROUTES[parts[2]], _name(parts[1])
    named = len(parts) == 2 and parts[1] == b"index"
    named |= len(parts) == 4 and parts[1] == b"models" and parts[3] in _REPOSITORY_ROUTES
    if named and _name(parts[0]):
        raise UnsupportedFeature("'repository_name' specification is not supported; leave it out of the path")
    raise _unknown()


def _match_memory(kind: bytes, rest: bytes) -> _Entry:
    """[region/NAME/](status | register | unregister); only a region can be registered."""
    operation = _MEMORY_OPERATIONS.get(kind)
    parts = rest.split(b"/")
    methods = _MEMORY_METHODS.get(parts[-1])
    if operation is None or methods is None:
        raise _unknown()
    if len(parts) == 3 and parts[0] == b"region" and _name(parts[1]):
        return _Entry(operation, methods)
    if len(parts) == 1 and parts[0] != b"register":
        return _Entry(operation, methods)
    raise _unknown()


def _name(segment: bytes) -> str:
    """A segment of a path as text."""
    if not segment or segment.translate(None, _SEGMENT):
        raise _unknown()
    return segment.decode("ascii")


def _unknown() -> UnknownRoute:
    return UnknownRoute("Not Found")


def request_line(call: Call) -> bytes:
    """The request line by which Triton understands `call`, without its line end."""
    if call.operation in _DERIVED:
        short = len(call.model) + len(call.version) <= _MEMORABLE  # long ones would cost memory
        line = _derived_line if short else _line
        return line(call.operation, call.model, call.version)
    return call.line + b" HTTP/1.1"


def _line(operation: Operation, model: str, version: str) -> bytes:
    method, tail = _DERIVED[operation]
    if operation is Operation.MODEL_STATISTICS and not model:
        return b"GET /v2/models/stats HTTP/1.1"
    if tail in _SERVER_ROUTES:
        return method + b" " + tail + b" HTTP/1.1"
    path = b"/v2/models/" + model.encode("ascii")
    if version:
        path += b"/versions/" + version.encode("ascii")
    return method + b" " + path + tail + b" HTTP/1.1"


_derived_line = lru_cache(_REMEMBERED)(_line)


def request_metadata(headers: Metadata) -> Metadata:
    """The headers of a request that go on to Triton."""
    return tuple([pair for pair in headers if pair[0] in _REQUEST_HEADERS])


def not_packed(headers: Metadata) -> Metadata:
    """The headers of a request without leave to compress its answer, so that it can be read here."""
    for name, _ in headers:
        if name == b"accept-encoding":
            return tuple([pair for pair in headers if pair[0] != name])
    return headers


def reply_metadata(headers: Metadata) -> Metadata:
    """The headers of Triton's answer that go back to the client."""
    return tuple([pair for pair in headers if pair[0] in _REPLY_HEADERS])


def head_length(headers: Metadata, body_len: int) -> int:
    """How many bytes of an uncompressed body are its JSON head: all, or what the header says (0: a raw single input).

    Raises:
        InvalidRequest: the header is not one plain number.
    """
    length: int | None = None
    for name, value in headers:
        if name == HEAD_LENGTH:
            if length is not None or not value.isdigit() or len(value) > 10:
                raise InvalidRequest(
                    "Inference-Header-Content-Length must be given once, as the length of the JSON part in bytes"
                )
            length = int(value)
    return body_len if length is None else min(length, body_len)


def content_encoding(headers: Metadata) -> str:
    """How a request's body is compressed: "identity", "gzip" or "deflate".

    Raises:
        UnsupportedFeature: in another way, or in several.
    """
    found: str | None = None
    for name, value in headers:
        if name == b"content-encoding":
            if found is not None or value.lower() not in _ENCODINGS:
                raise UnsupportedFeature("Unsupported compression type: send the body as it is, or as gzip or deflate")
            found = _ENCODINGS[value.lower()]
    return found or "identity"
