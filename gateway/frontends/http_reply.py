"""A `Reply` as the bytes of an HTTP/1.1 response's head, sans I/O."""

from __future__ import annotations

from http import HTTPStatus

from gateway.core.call import Reply

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE = b"connection: close\r\n"
KEEP_ALIVE = b"connection: keep-alive\r\n"
"""Said to HTTP/1.0 clients that asked for it; in HTTP/1.1 it goes without saying."""

LAST_CHUNK = b"0\r\n\r\n"

_NO_CONTENT = HTTPStatus.NO_CONTENT.value  # has no body, and may not say how long it is

_STATUS_LINES = {status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}


def head(reply: Reply, request_id: str, lines: bytes) -> bytes:
    """The head of a whole reply.

    Args:
        reply: what to answer.
        request_id: goes with every reply.
        lines: more of the head: one of the lines above, and whatever else goes with it.
    """
    return b"%b%b%bx-request-id: %b\r\n%b\r\n" % (
        status_line(reply.status),
        b"".join([b"%b: %b\r\n" % pair for pair in reply.metadata]),
        b"" if reply.status == _NO_CONTENT else b"content-length: %d\r\n" % len(reply.body),
        request_id.encode(),
        lines,
    )


def stream_head(reply: Reply, request_id: str, lines: bytes, chunked: bool) -> bytes:
    """The head of a reply whose body comes bit by bit: in chunks, or until the connection ends."""
    return b"%b%b%bx-request-id: %b\r\n%b\r\n" % (
        status_line(reply.status),
        b"".join([b"%b: %b\r\n" % pair for pair in reply.metadata]),
        b"transfer-encoding: chunked\r\n" if chunked else b"",
        request_id.encode(),
        lines,
    )


def status_line(status: int) -> bytes:
    """The first line of a response."""
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
