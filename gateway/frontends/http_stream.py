"""The client's end of a streamed HTTP answer: chunks over HTTP/1.1, bare bytes until the end over HTTP/1.0."""

from __future__ import annotations

from typing import Protocol

from gateway.core.call import Body, Metadata, Reply
from gateway.core.errors import ClientGone
from gateway.frontends import http_reply
from gateway.frontends.http import Request


class Sink(Protocol):
    """What a stream needs of its connection.

    Attributes:
        gone: whether the client is.
    """

    gone: bool

    def write(self, *parts: Body) -> None:
        """Send bytes."""
        ...

    async def flushed(self, due: float) -> None:
        """Wait until the client has read enough for more; a client that does not by then is cut off."""
        ...


class HttpStream:
    """One streamed answer, as `ClientStream` says.

    Args:
        sink: the client's connection.
        request: what is answered.
        lines: further header lines, such as what becomes of the connection.

    Attributes:
        started: whether the client has been told 200 already.
    """

    def __init__(self, sink: Sink, request: Request, lines: bytes) -> None:
        self._sink = sink
        self._request = request
        self._lines = lines
        self._chunked = not request.head.old
        self.started = False

    async def receive(self) -> Body | None:
        """Nothing: the request's body was all."""
        return None

    async def start(self, metadata: Metadata) -> None:
        """Send status 200 and the headers."""
        self._check()
        self.started = True
        head = http_reply.stream_head(
            Reply(200, metadata), self._request.request_id, self._lines, chunked=self._chunked
        )
        self._sink.write(head)

    async def send(self, message: Body) -> None:
        """Send one piece; an empty one is none, because it would end the body."""
        self._check()
        if not message:
            return
        if self._chunked:
            self._sink.write(b"%x\r\n" % len(message), message, b"\r\n")
        else:
            self._sink.write(message)
        await self._sink.flushed(self._request.deadline.at)

    def end(self, reply: Reply) -> None:
        """End the body; a stream that broke says so in an event of its own, because its status was sent long ago."""
        if self._sink.gone:
            return
        if reply.status >= 400:
            event = b"data: %b\n\n" % bytes(reply.body)
            self._sink.write(b"%x\r\n%b\r\n" % (len(event), event) if self._chunked else event)
        if self._chunked:
            self._sink.write(http_reply.LAST_CHUNK)

    def _check(self) -> None:
        if self._sink.gone:
            raise ClientGone("the client closed the connection before its stream was complete")
