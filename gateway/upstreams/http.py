"""Triton over HTTP/1.1: calls in, replies out, over a pool of kept-alive connections."""

from __future__ import annotations

from gateway.config import LimitsSection
from gateway.core.call import Body, Call, ClientStream, Metadata, Reply
from gateway.core.errors import InvalidRequest, RequestTooLarge
from gateway.upstreams.added import with_added
from gateway.upstreams.http_pool import HttpPool
from gateway.wire import compression, oip_http, redact

_REMEMBERED = 1024  # heads of requests; clients repeat themselves
_MEMORABLE = 1024  # bytes of such a head
_WORDS = 64 * 2**10  # a longer error is no message
_RATIO = 1000  # how much shorter than itself an error may be packed


class HttpUpstream:
    """One Triton.

    Args:
        address: "host:port" of its HTTP service.
        limits: how many connections there may be, how many requests may wait, how long connecting may take.
    """

    def __init__(self, address: str, limits: LimitsSection) -> None:
        host, _, port = address.rpartition(":")
        self._host_line = b"\r\nhost: %b\r\n" % address.encode()
        self._pool = HttpPool(host.strip("[]"), int(port), limits)
        self._heads: dict[tuple[bytes, str, str, Metadata, Metadata], bytes] = {}

    async def infer(self, call: Call) -> Reply:
        """Send `call` and wait for the answer, as `Upstream.infer` says."""
        head = self._head(call)
        connection = await self._pool.acquire(call.deadline)
        try:
            reply = await connection.ask(head, call.body)
        except BaseException:
            connection.close()
            raise
        self._pool.release(connection)
        return reply if reply.status < 400 else _redacted(reply)

    async def stream(self, call: Call, client: ClientStream) -> Reply:
        """Send `call` and pass its answer on piece by piece, as `Upstream.stream` says."""
        head = self._head(call)
        connection = await self._pool.acquire(call.deadline)
        try:
            reply = await connection.ask(head, call.body, collects=False)
            if reply.status == 200:
                await client.start(reply.metadata)
                if reply.body:
                    await client.send(reply.body)
                if connection.streaming:
                    while piece := await connection.more():
                        await client.send(piece)
        except BaseException:
            connection.close()
            raise
        self._pool.release(connection)
        return Reply(200, reply.metadata) if reply.status == 200 else _redacted(reply)

    async def aclose(self) -> None:
        """Drop every connection."""
        self._pool.close()

    def _head(self, call: Call) -> bytes:
        key = (call.line, call.model, call.version, call.metadata, call.added)
        head = self._heads.get(key)
        if head is None:
            metadata = with_added(oip_http.request_metadata(call.metadata), call.added)
            lines = [b"%b: %b\r\n" % pair for pair in metadata]
            head = oip_http.request_line(call) + self._host_line + b"".join(lines)
            if len(head) + sum([len(name) + len(value) for name, value in call.metadata]) <= _MEMORABLE:
                if len(self._heads) >= _REMEMBERED:
                    self._heads.clear()
                self._heads[key] = head
        return b"%bcontent-length: %d\r\n\r\n" % (head, len(call.body))


def _redacted(reply: Reply) -> Reply:
    """An error of Triton's without the inside of the house."""
    body: Body = reply.body
    metadata = reply.metadata
    encoding = next((value.decode("latin-1") for name, value in metadata if name == b"content-encoding"), "identity")
    if encoding != "identity":
        try:
            body = compression.decompress(body, encoding, _WORDS, _RATIO)
        except (InvalidRequest, RequestTooLarge):
            body = b""
        metadata = tuple(pair for pair in metadata if pair[0] != b"content-encoding")
    if len(body) <= _WORDS:
        body = redact.redact(body.decode("utf-8", "replace")).encode()
    return Reply(reply.status, metadata, body)
