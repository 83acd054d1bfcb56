"""One client's HTTP/1.1 connection: bytes in, requests out to the front end one at a time, replies back in order.

What is read lands in a buffer that all connections share, so an idle one costs nothing; a body that does not end within
the first read is received into memory of its own, straight from the kernel. Pipelined requests wait, unread as far as
they do not fit the buffer, until the one before is answered and its answer is read.

Times: `idle_seconds` between requests and for a client that reads nothing of its reply, `head_seconds` for a head that
has begun, the request's own deadline for its body. While a request is served, its upstream watches its deadline.
"""

from __future__ import annotations

import asyncio
import socket
import time

from gateway.alarm import NEVER
from gateway.core.call import Body, Reply
from gateway.core.errors import DeadlineExceeded, GatewayError
from gateway.frontends import asgi, http_reply
from gateway.frontends import request_id as request_ids
from gateway.frontends.half_close import HalfClosed
from gateway.frontends.http import Request
from gateway.frontends.http_head import HttpError
from gateway.frontends.http_shared import Shared
from gateway.frontends.http_stream import HttpStream
from gateway.frontends.http_writer import WritingConnection
from gateway.memory import uninitialised
from gateway.wire import status
from gateway.wire.chunked import ChunkedBody

_LINGER_SECONDS = 5.0  # for a client to stop sending what was refused, so that it gets to see the refusal
_LINGER = 4  # times the largest body: a client that sends more than that is cut off


class ClientConnection(WritingConnection):
    """One connection.

    Args:
        shared: what it has in common with the others.

    Attributes:
        task: serves the request under way, from when it is complete.
    """

    __slots__ = ("_body", "_chunks", "_ended", "_linger", "_pending", "_request", "_room", "task")

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self.task: asyncio.Task[None] | None = None
        self._request: Request | None = None  # whose body is being received, or that is being served
        self._body: bytearray | None = None  # of announced length
        self._room: memoryview | None = None  # what of it is still to be received
        self._chunks: ChunkedBody | None = None
        self._pending = b""  # received, and not looked at: part of a head, or requests after the one under way
        self._ended = False  # whether the client has said all
        self._linger = 0  # bytes that are still read and thrown away

    # asyncio.BufferedProtocol

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to put what comes next."""
        del sizehint
        room = self._room
        return self.shared.scratch if room is None else room

    def buffer_updated(self, nbytes: int) -> None:
        """So much has come."""
        room, body, request = self._room, self._body, self._request
        if room is None or body is None or request is None:
            self._take(bytes(self.shared.scratch[:nbytes]))
            return
        missing = len(room) - nbytes
        try:
            self.shared.frontend.hold(request, len(body) - missing)
        except GatewayError as error:
            self._body = self._room = None
            self._reply(request, status.http_reply(error), unread=missing > 0)
            return
        if missing:
            self._room = room[nbytes:]
        else:
            self._body = self._room = None
            self._serve(body)

    def eof_received(self) -> bool:
        """The client sends nothing more. With a complete request it may be listening still; else it is gone."""
        self._ended = True
        if self.task is None:
            return self.paused and not self._linger  # it may be reading what is left of its reply
        if self.answering:
            return False  # of a stream: one that listens to it half-closed is not worth working for one that is gone
        request = self._request
        if request is not None and not request.head.old and hasattr(socket, "TCP_INFO"):
            HalfClosed(self.transport, lambda: self._request is request and not self.answering)
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """The client is gone: nobody needs what it asked for."""
        super().connection_lost(error)
        self._forget()
        self._leave()
        if self.task is not None:
            self.shared.orphans.add(self.task)
            self.task.add_done_callback(self.shared.orphans.discard)
            self.task.cancel()

    def resume_writing(self) -> None:
        """The client has caught up; if all of a reply is written, the next request has its turn."""
        super().resume_writing()
        if self.answering and self.task is None and not self._linger and not self.transport.is_closing():
            self._next()

    # what has come

    def _take(self, data: bytes) -> None:
        if self._linger:
            self._linger -= len(data)
            if self._linger <= 0:
                self.abort()
            return
        if self._pending:
            data, self._pending = self._pending + data, b""
        while data and not self._linger and not self.transport.is_closing():
            if self._chunks is not None:
                data = self._chunk(self._chunks, data)
            elif self._request is None and not self.answering:
                data = self._head(data)
            else:
                self._pending = data
                self.transport.pause_reading()
                return

    def _head(self, data: bytes) -> bytes:
        """Take one head off what has come; gives the rest."""
        if data[0] in b"\r\n":
            data = data.lstrip(b"\r\n")  # some clients send a line end after a body
        shared, limits = self.shared, self.shared.current.serving.limits
        end = data.find(b"\r\n\r\n") + 4
        try:
            if (end if end > 3 else len(data)) > limits.max_header_bytes:
                raise HttpError(431, f"the request's head exceeds the maximum of {limits.max_header_bytes} bytes")
            if end <= 3:
                self._partial(data, limits.head_seconds)
                return b""
            request = shared.frontend.open(data[:end], self.peer)
        except HttpError as error:
            self._refuse(error)
            return b""
        self._request = request
        shared.busy += 1
        rest = data[end:]
        refusal = shared.frontend.admit(request)
        if refusal is None:
            return self._receive(request, rest)
        length = request.head.length
        here = len(rest) >= length and not request.head.chunked
        self._reply(request, refusal, unread=not here)
        return rest[length:] if here else b""

    def _partial(self, data: bytes, seconds: float) -> None:
        """Wait for the rest of a head, unless what is here cannot be one."""
        if not data:
            return
        if not data[:1].isalpha() or data.count(b"\n") != data.count(b"\r\n"):
            raise HttpError(400, "the request is not HTTP/1.1: expected a request line and headers that end with CRLF")
        if self._ended:
            self.close()
            return
        if self.due > (due := time.monotonic() + seconds):
            self.wait(due)
        self._pending = data

    def _receive(self, request: Request, rest: bytes) -> bytes:
        """Begin with the body; gives what came after it."""
        head = request.head
        length = head.length
        if len(rest) >= length and not head.chunked:
            self._serve(rest if len(rest) == length else rest[:length])
            return rest[length:]
        if head.expects and not rest:
            self.transport.write(http_reply.CONTINUE)
        self.wait(request.deadline.at)
        if head.chunked:
            self._chunks = ChunkedBody()
            return rest
        self.shared.frontend.hold(request, len(rest))  # there is room for all of it at this moment
        self._body = uninitialised(length)
        self._room = memoryview(self._body)[len(rest) :]
        self._body[: len(rest)] = rest
        return b""

    def _chunk(self, chunks: ChunkedBody, data: bytes) -> bytes:
        """Take what belongs to a chunked body; gives the rest."""
        request = self._request
        assert request is not None  # noqa: S101 - a body belongs to one
        try:
            used = chunks.feed(data)
            self.shared.frontend.hold(request, len(chunks.data))
        except GatewayError as error:
            self._reply(request, status.http_reply(error), unread=True)
            return b""
        if chunks.done:
            self._serve(chunks.data)
        return data[used:]

    def ring(self) -> None:
        """The time has come of whatever the client is waited for."""
        request = self._request
        if self.task is not None or self._linger:
            self.due = NEVER
            self.abort()
        elif self.answering or self.transport.is_closing():
            super().ring()
        elif request is not None:
            error = DeadlineExceeded("the request's body did not arrive within the request's time")
            self._reply(request, status.http_reply(error), unread=True)
        elif self._pending:
            self._refuse(HttpError(408, "the request's head did not arrive in time"))
        else:
            self.close()

    # the request under way

    def _serve(self, body: Body) -> None:
        request = self._request
        assert request is not None  # noqa: S101 - a body belongs to one
        self._chunks = None
        self.due = NEVER
        self.task = asyncio.get_running_loop().create_task(self._answer(request, body))

    async def _answer(self, request: Request, body: Body) -> None:
        client: HttpStream | None = None
        if request.plan.streams:
            line = b"" if self._keeps(request) and not request.head.old else http_reply.CLOSE
            client = HttpStream(self, request, line + request.cors)
        if request.plan.route is None:
            reply = await asgi.respond(self.shared.pages, request.head, body, self.shared.server)
        else:
            reply = await self.shared.frontend.answer(request, body, client)
        self.task = None
        if self.gone:
            return
        if client is None or not client.started:
            self._reply(request, reply)
        else:
            client.end(reply)
            self._done(self._keeps(request) and reply.status < 400 and not request.head.old)

    def _keeps(self, request: Request) -> bool:
        """Whether the connection stays open after this request."""
        return request.head.keep_alive and not self.shared.draining and not (self._ended and not self._pending)

    def _refuse(self, error: HttpError) -> None:
        """Answer what is no request."""
        self.write_reply(error.reply(), request_ids.new(), http_reply.CLOSE)
        self._end_lingering(0)

    def _reply(self, request: Request, reply: Reply, unread: bool = False) -> None:
        """Answer; `unread` says that the client is still sending the request's body."""
        keep = self._keeps(request) and not unread
        line = (http_reply.KEEP_ALIVE if request.head.old else b"") if keep else http_reply.CLOSE
        self.write_reply(reply, request.request_id, line + request.cors, bodiless=request.head.method == b"HEAD")
        if unread:
            self._leave()
            self._end_lingering(_LINGER * request.max_body)
        else:
            self._done(keep)

    def _done(self, keep: bool) -> None:
        """All of a reply is written, if not sent."""
        self._leave()
        if not keep:
            self.close()
        elif self.paused:
            self._watch_unsent()
        else:
            self._next()

    def _next(self) -> None:
        self.answering = False
        if self._ended and not self._pending:
            self.close()
            return
        self.wait_idle()
        if self._pending:
            asyncio.get_running_loop().call_soon(self._go_on_reading)

    def _go_on_reading(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()
            self._take(b"")

    def _end_lingering(self, size: int) -> None:
        """Say nothing more, and read on for a while: a reset would take the refusal away from a client that sends."""
        self._forget()
        self._linger = size + len(self.shared.scratch)
        self.wait(time.monotonic() + _LINGER_SECONDS)
        self.transport.write_eof()

    def _forget(self) -> None:
        self._pending = b""
        self._body = self._room = self._chunks = None

    def _leave(self) -> None:
        request, self._request = self._request, None
        if request is not None:
            self.shared.frontend.close(request)
            self.shared.rest()
