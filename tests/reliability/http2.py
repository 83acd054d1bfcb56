"""HTTP/2 frames written by hand, for clients that do what no library would."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from tests.reliability.triton import SERVICE

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS = 1, 4
INITIAL_WINDOW_SIZE = 4


class Frame(NamedTuple):
    """One frame."""

    kind: int
    flags: int
    stream: int
    payload: bytes


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """A frame with its 9-byte head."""
    return len(payload).to_bytes(3, "big") + bytes((kind & 255, flags & 255)) + stream.to_bytes(4, "big") + payload


def settings(**values: int) -> bytes:
    """A SETTINGS frame; `s4=0` sets INITIAL_WINDOW_SIZE to 0."""
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", int(name[1:]), value) for name, value in values.items()))


def fields(*pairs: tuple[bytes, bytes]) -> bytes:
    """A header block of literals without indexing; names and values under 127 bytes."""
    return b"".join(b"\x00" + bytes([len(n)]) + n + bytes([len(v)]) + v for n, v in pairs)


def request_fields(method: bytes = b"ModelInfer") -> bytes:
    """The header block of a gRPC request."""
    return fields(
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", SERVICE.encode() + method),
        (b":authority", b"test"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
    )


def prefixed(message: bytes) -> bytes:
    """A gRPC message with its length."""
    return b"\x00" + len(message).to_bytes(4, "big") + message


def frames_of(received: bytes) -> Iterator[Frame]:
    """What a server sent, frame by frame; a last one that is not whole is left out."""
    at = 0
    while at + 9 <= len(received):
        size = int.from_bytes(received[at : at + 3], "big")
        if at + 9 + size > len(received):
            return
        stream = int.from_bytes(received[at + 5 : at + 9], "big") & 0x7FFFFFFF
        yield Frame(received[at + 3], received[at + 4], stream, received[at + 9 : at + 9 + size])
        at += 9 + size
