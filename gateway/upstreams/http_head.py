"""The head of an HTTP/1.1 response, sans I/O: bytes up to and with the empty line in, a `ReplyHead` out."""

from __future__ import annotations

from typing import NamedTuple

import httptools

from gateway.core.call import Metadata
from gateway.core.errors import UpstreamBroken
from gateway.wire import oip_http


class ReplyHead(NamedTuple):
    """What a response's head says.

    Attributes:
        status: the HTTP status.
        metadata: the headers that go on to the client.
        length: of the body in bytes; None if it ends otherwise.
        chunked: whether the body comes in chunks; with neither it ends with the connection.
        keep_alive: whether the connection may be used again.
    """

    status: int
    metadata: Metadata
    length: int | None
    chunked: bool
    keep_alive: bool


def parse(raw: bytes) -> ReplyHead:
    """Read a head that ends with its empty line.

    Raises:
        UpstreamBroken: it is none.
    """
    collected = _Collected()
    parser = collected.parser = httptools.HttpResponseParser(collected)
    try:
        parser.feed_data(raw)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        raise not_http() from None
    status = parser.get_status_code()
    length: int | None = None
    chunked = False
    for name, value in collected.headers:
        if name == b"content-length":
            if not value.isdigit() or len(value) > 18:
                raise not_http()
            length = int(value)
        elif name == b"transfer-encoding":
            if value.lower() != b"chunked":
                raise not_http()
            chunked = True
    if not collected.complete or status == 101:  # nobody asked for another protocol
        raise not_http()
    if status < 200 or status in (204, 304):
        length, chunked = 0, False
    metadata = oip_http.reply_metadata(tuple(collected.headers))
    keep_alive = (chunked or length is not None) and collected.keep_alive
    return ReplyHead(status, metadata, length, chunked, keep_alive)


def not_http() -> UpstreamBroken:
    """The error of an answer that cannot be read."""
    return UpstreamBroken("Triton's answer was not HTTP; the connection was closed")


class _Collected:
    """What the parser reports of one head."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = self.keep_alive = False
        self.parser: httptools.HttpResponseParser

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self.complete = True
        self.keep_alive = self.parser.should_keep_alive()  # it has forgotten by the end of a message without a body
