"""gRPC's headers: what a request or a reply says, and how the gateway says its own.

Source: "gRPC over HTTP2" (PROTOCOL-HTTP2.md).
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from gateway.core.call import Metadata
from gateway.wire.http2.frames import PROTOCOL_ERROR, StreamError
from gateway.wire.http2.hpack import Fields, literal

ENCODINGS = ("identity", "gzip", "deflate")
"""The message encodings that are understood."""

_ACCEPT = literal(b"grpc-accept-encoding", ",".join(ENCODINGS).encode())
_CONTENT_TYPE = b"\x0f\x10\x10application/grpc"  # the name is entry 31 of the static table
_STATUS_200 = b"\x88"
RESPONSE_HEADERS = _STATUS_200 + _CONTENT_TYPE + _ACCEPT
"""The header block that every reply begins with."""

_UNITS = {ord("H"): 3600.0, ord("M"): 60.0, ord("S"): 1.0, ord("m"): 1e-3, ord("u"): 1e-6, ord("n"): 1e-9}
_TRANSPORT = frozenset({b"te", b"content-type", b"user-agent", b"host", b"grpc-timeout", b"grpc-encoding"})
_CONNECTION = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
_PSEUDO = frozenset({b":method", b":scheme", b":path", b":authority"})
_UNSAFE = re.compile(rb"[^\x20-\x24\x26-\x7e]")

# What an HTTP status without a gRPC status means; everything else is UNKNOWN.
_HTTP_TO_GRPC = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}


@dataclass(frozen=True, slots=True)
class RequestHead:
    """What a request's headers say.

    Attributes:
        path: the method's path.
        metadata: what the application sent, decoded; before it, as `host`, the name that the client called.
        timeout: seconds, or None.
        encoding: how the messages are compressed that say that they are.
        refusal: the HTTP status of a request that is not gRPC, otherwise 0.
        fault: what is wrong with the metadata, otherwise empty.
    """

    path: str
    metadata: Metadata
    timeout: float | None
    encoding: str
    refusal: int
    fault: str


@dataclass(frozen=True, slots=True)
class ReplyHead:
    """What a reply's headers or trailers say.

    Attributes:
        http_status: 0 in trailers.
        status: the gRPC status, or None where there is none.
        message: the status message.
        encoding: how the messages are compressed that say that they are.
        metadata: what the application sent, decoded.
    """

    http_status: int
    status: int | None
    message: str
    encoding: str
    metadata: Metadata

    def grpc_status(self) -> int:
        """The gRPC status that the HTTP status stands for."""
        return _HTTP_TO_GRPC.get(self.http_status, 2)


def request_head(fields: Fields) -> RequestHead | None:
    """What a client's headers say; None for trailers, which have no pseudo headers and say nothing.

    Raises:
        StreamError: they break HTTP/2's rules.
    """
    pseudo: dict[bytes, bytes] = {}
    known: dict[bytes, bytes] = {}
    metadata: list[tuple[bytes, bytes]] = []
    fault = ""
    for name, value in fields:
        if name[0] == 0x3A:  # ":"
            if name not in _PSEUDO or name in pseudo or known or metadata:
                raise StreamError(PROTOCOL_ERROR, "a pseudo header is unknown, repeated or late")
            pseudo[name] = value
        elif name in _TRANSPORT:
            known[name] = value
        elif name in _CONNECTION:
            raise StreamError(PROTOCOL_ERROR, "a header belongs to HTTP/1")
        elif not name.startswith(b"grpc-"):  # reserved for gRPC itself; what we do not know of it is not for us
            try:
                metadata += _decoded(name, value)
            except binascii.Error:
                fault = f"metadata {name.decode('ascii', 'replace')} is not base64, as its name says"
    return _request_head(pseudo, known, tuple(metadata), fault) if pseudo else None


def _request_head(pseudo: dict[bytes, bytes], known: dict[bytes, bytes], metadata: Metadata, fault: str) -> RequestHead:
    if b":path" not in pseudo or b":method" not in pseudo or b":scheme" not in pseudo:
        raise StreamError(PROTOCOL_ERROR, "a pseudo header is missing")
    refusal = 0
    if pseudo[b":method"] != b"POST":
        refusal = 405
    elif not known.get(b"content-type", b"").startswith(b"application/grpc"):
        refusal = 415
    timeout = None
    if b"grpc-timeout" in known:
        timeout = _seconds(known[b"grpc-timeout"])
        if timeout is None:
            fault = "grpc-timeout is not a number of up to 8 digits with one of the units H, M, S, m, u, n"
    path = pseudo[b":path"].decode("latin-1")
    encoding = known.get(b"grpc-encoding", b"identity").decode("latin-1")
    host = pseudo.get(b":authority") or known.get(b"host")  # proxies from HTTP/1 may leave the former out
    if host:
        metadata = ((b"host", host), *metadata)
    return RequestHead(path, metadata, timeout, encoding, refusal, fault)


def reply_head(fields: Fields) -> ReplyHead:
    """What a server's headers or trailers say.

    Raises:
        StreamError: they break HTTP/2's or gRPC's rules.
    """
    http_status, status, message, encoding = 0, None, "", "identity"
    metadata: list[tuple[bytes, bytes]] = []
    try:
        for name, value in fields:
            if name == b":status":
                http_status = int(value)
            elif name == b"grpc-status":
                status = int(value)
            elif name == b"grpc-message":
                message = percent_decoded(value)
            elif name == b"grpc-encoding":
                encoding = value.decode("latin-1")
            elif name not in _TRANSPORT and not name.startswith((b"grpc-", b":")):
                metadata += _decoded(name, value)
    except (ValueError, binascii.Error):
        raise StreamError(PROTOCOL_ERROR, "a status or binary metadata cannot be read") from None
    return ReplyHead(http_status, status, message, encoding, tuple(metadata))


def encoded(metadata: Metadata) -> bytes:
    """Metadata as HPACK fields; values that HTTP/2 does not admit are left out."""
    return b"".join([literal(name, _wire_value(name, value)) for name, value in metadata])


def wire_form(metadata: Metadata) -> Metadata:
    """Metadata with the binary values in base64."""
    return tuple([(name, _wire_value(name, value)) for name, value in metadata])


def trailers(status: int, message: str, metadata: Metadata) -> bytes:
    """The header block that a reply ends with."""
    block = literal(b"grpc-status", b"%d" % status) if status else _STATUS_OK
    if message:
        block += literal(b"grpc-message", percent_encoded(message[:_LONGEST_MESSAGE]))
    return block + encoded(metadata) if metadata else block


_LONGEST_MESSAGE = 4000  # characters; gRPC's clients refuse trailers of more than 8 to 16 KiB, status and all
_STATUS_OK = literal(b"grpc-status", b"0")


def http_refusal(status: int) -> bytes:
    """The header block that refuses what is not gRPC."""
    return literal(b":status", b"%d" % status)


def percent_encoded(message: str) -> bytes:
    """A status message in printable ASCII."""
    return _UNSAFE.sub(lambda match: b"%%%02X" % match[0][0], message.encode("utf-8", "replace"))


def percent_decoded(message: bytes) -> str:
    """What `percent_encoded` came from; what is not properly encoded stays as it is."""
    if b"%" in message:
        head, *rest = message.split(b"%")
        out = bytearray(head)
        for part in rest:
            try:
                out += bytes.fromhex(part[:2].decode("ascii")) + part[2:] if len(part) > 1 else b"%" + part
            except ValueError:
                out += b"%" + part
        message = bytes(out)
    return message.decode("utf-8", "replace")


def _seconds(value: bytes) -> float | None:
    digits = value[:-1]
    if not digits.isdigit() or len(digits) > 8 or value[-1] not in _UNITS:
        return None
    return int(digits) * _UNITS[value[-1]]


def _decoded(name: bytes, value: bytes) -> Metadata:
    if not name.endswith(b"-bin"):
        return ((name, value),)
    return tuple(
        [
            (name, base64.b64decode(part.strip() + b"=" * (-len(part.strip()) % 4), validate=True))
            for part in value.split(b",")
        ]
    )


def _wire_value(name: bytes, value: bytes) -> bytes:
    if name.endswith(b"-bin"):
        return base64.b64encode(value).rstrip(b"=")
    return value
