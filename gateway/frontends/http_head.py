"""The head of an HTTP/1.1 request, sans I/O: bytes up to and with the empty line in, a `RequestHead` out.

The grammar is llhttp's (httptools), which is strict: no bare LF, no folded lines, no space before a colon, nothing
twice that may be there once. What it leaves to its user is here: versions, `Host`, `Expect`, transfer codings, counts.
Where the body ends is said in one way or not at all, because two servers that disagree on it is how requests are
smuggled.
"""

from __future__ import annotations

import json
from typing import NamedTuple

import httptools

from gateway.core.call import Metadata, Reply

MAX_HEADERS = 256


class HttpError(Exception):
    """The bytes are not an HTTP request that is served here.

    Args:
        status: the HTTP status that says so.
        message: what is wrong, for the client.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    def reply(self) -> Reply:
        """The answer, in the form of Triton's errors."""
        body = json.dumps({"error": str(self)}, separators=(",", ":")).encode()
        return Reply(self.status, ((b"content-type", b"application/json"),), body)


class RequestHead(NamedTuple):
    """What a request's head says.

    Attributes:
        method: as it came.
        path: as it is on the wire, without the query.
        query: what follows the question mark.
        headers: lower-case names, values without the space around them, in the order they came.
        length: of the body in bytes, as announced; 0 without a body and for a chunked one.
        chunked: whether the body comes in chunks.
        keep_alive: whether the client wants the connection to stay open.
        old: whether the client speaks HTTP/1.0: no chunks, no interim answers.
        expects: whether the client waits for `100 Continue` before it sends the body.
    """

    method: bytes
    path: bytes
    query: bytes
    headers: Metadata
    length: int
    chunked: bool
    keep_alive: bool
    old: bool
    expects: bool


def parse(raw: bytes) -> RequestHead:
    """Read a head that ends with its empty line.

    Raises:
        HttpError: it is none.
    """
    collected = _Collected()
    parser = collected.parser = httptools.HttpRequestParser(collected)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass  # the offer of another protocol is not taken up
    except httptools.HttpParserError as error:
        raise HttpError(400, f"the request is not HTTP/1.1: {error}") from None
    if not collected.complete:
        raise HttpError(400, "the request is not HTTP/1.1: its head is incomplete")
    version = parser.get_http_version()
    if version not in ("1.1", "1.0"):
        raise HttpError(505, "this server speaks HTTP/1.1")
    old = version == "1.0"
    path, query = _target(collected.url)
    length, chunked, expects = _framing(collected.headers, old)
    return RequestHead(
        method=parser.get_method(),
        path=path,
        query=query,
        headers=tuple(collected.headers),
        length=length,
        chunked=chunked,
        keep_alive=collected.keep_alive,
        old=old,
        expects=expects and not old,
    )


class _Collected:
    """What the parser reports of one head."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = self.keep_alive = False
        self.parser: httptools.HttpRequestParser

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self.complete = True
        self.keep_alive = self.parser.should_keep_alive()  # it has forgotten by the end of a message without a body


def _target(url: bytes) -> tuple[bytes, bytes]:
    """Path and query of a request target; proxies send the absolute form."""
    if not url.startswith(b"/"):
        try:
            parsed = httptools.parse_url(url)
        except httptools.HttpParserInvalidURLError:
            raise HttpError(400, "the request's target must be a path such as /v2/models/MODEL/infer") from None
        if parsed.schema not in (b"http", b"https"):
            raise HttpError(400, "the request's target must be a path such as /v2/models/MODEL/infer")
        return parsed.path or b"/", parsed.query or b""
    path, _, query = url.partition(b"?")
    return path, query


def _framing(headers: list[tuple[bytes, bytes]], old: bool) -> tuple[int, bool, bool]:
    """The body's length, whether it is chunked, and whether the client waits before it sends it."""
    if len(headers) > MAX_HEADERS:
        raise HttpError(431, f"the request has more than {MAX_HEADERS} headers")
    hosts = length = 0
    chunked = expects = False
    for name, value in headers:
        if name == b"host":
            hosts += 1
        elif name == b"content-length":
            length = _length(value)
        elif name == b"transfer-encoding":
            if old or value.lower() != b"chunked":
                raise HttpError(501, "a request's body comes with Content-Length, or in chunks over HTTP/1.1")
            chunked = True
        elif name == b"expect":
            if value.lower() != b"100-continue":
                raise HttpError(417, "the only expectation that can be met is 100-continue")
            expects = True
    if hosts != 1 and (hosts > 1 or not old):
        raise HttpError(400, "the request must have one Host header")
    return length, chunked, expects


def _length(value: bytes) -> int:
    if not value.isdigit() or len(value) > 18:
        raise HttpError(400, "the request's Content-Length must be one plain number")
    return int(value)
