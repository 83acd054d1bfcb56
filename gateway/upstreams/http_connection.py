"""One connection to Triton's HTTP port, one exchange at a time.

An answer whose length is announced is received into memory of its own, straight from the kernel, when it is its turn,
unless all of it came with its head. A stream is not collected: its pieces wait, unread beyond a bound, until taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from gateway.alarm import NEVER
from gateway.core.call import Body, Reply
from gateway.core.errors import DeadlineExceeded, GatewayError, InvalidRequest, UpstreamBroken
from gateway.memory import uninitialised
from gateway.upstreams.http_head import ReplyHead, not_http
from gateway.upstreams.http_turns import Turns
from gateway.wire.chunked import ChunkedBody

_MAX_HEAD = 64 * 2**10
_SMALL = 16 * 2**10  # a request of fewer bytes is copied behind its head: cheaper than a second buffer for the kernel
_AHEAD = 64 * 2**10  # bytes of a stream that may wait


class UntilClosed:
    """A body that ends with its connection; read like a `ChunkedBody`."""

    __slots__ = ("data", "done")

    def __init__(self) -> None:
        self.data = bytearray()
        self.done = False

    def feed(self, received: bytes) -> int:
        """All of it belongs to the body."""
        self.data += received
        return len(received)


class HttpConnection(asyncio.BufferedProtocol):
    """An open socket, and the answer that is being read from it.

    Args:
        on_lost: told once when the connection is gone, so that nobody picks it again.
        scratch: where reads land for as long as it takes to look at them; shared by all connections of a process.
        parse: reads a head.
        turns: of large answers; shared, too.

    Attributes:
        due: when the exchange under way has taken too long, on the monotonic clock; whoever watches calls `ring`.
        reusable: whether another exchange may follow.
        streaming: whether the answer has begun and is taken with `more`.
    """

    __slots__ = (
        "_answer",
        "_body",
        "_busy",
        "_coded",
        "_collects",
        "_error",
        "_head",
        "_on_lost",
        "_parse",
        "_partial",
        "_paused",
        "_room",
        "_scratch",
        "_transport",
        "_turns",
        "due",
        "reusable",
        "streaming",
    )

    def __init__(
        self,
        on_lost: Callable[[HttpConnection], None],
        scratch: memoryview,
        parse: Callable[[bytes], ReplyHead],
        turns: Turns,
    ) -> None:
        self._on_lost = on_lost
        self._scratch = scratch
        self._parse = parse
        self._turns = turns
        self._transport: asyncio.Transport
        self._busy = False
        self._collects = True
        self._answer: asyncio.Future[Reply] | None = None  # what somebody waits for: the reply, or more of a stream
        self._error: GatewayError | None = None  # of a stream, that nobody has been told yet
        self._partial = b""  # of a head
        self._head: ReplyHead | None = None
        self._body: bytearray | None = None  # of announced length
        self._room: memoryview | None = None  # what of it is still to be received
        self._coded: ChunkedBody | UntilClosed | None = None
        self._paused = False
        self.due = NEVER
        self.reusable = False
        self.streaming = False

    @property
    def closing(self) -> bool:
        """Whether it is known to be gone, or going."""
        return self._transport.is_closing()

    def ask(self, head: bytes, body: Body, collects: bool = True) -> asyncio.Future[Reply]:
        """Send one request; whoever gives up waiting for the answer closes the connection.

        Args:
            head: request line and headers, up to and with the empty line.
            body: exactly as many bytes as `content-length` in `head` says.
            collects: whether the whole answer is awaited; else a successful one of unknown length is `streaming`.

        Returns:
            the answer; its failure is an `UpstreamBroken` or `DeadlineExceeded`.
        """
        self.reusable = self.streaming = False
        self._busy = True
        self._collects = collects
        self._coded = self._error = None
        self._answer = answer = asyncio.get_running_loop().create_future()
        if not body:
            self._transport.write(head)
        elif len(body) <= _SMALL:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))
        return answer

    async def more(self) -> Body:
        """What has come of the stream since the last time, at least one byte; nothing at its end.

        Raises:
            UpstreamBroken, DeadlineExceeded: it ended before its end.
        """
        coded = self._coded
        assert coded is not None  # noqa: S101 - exchange() saw to it
        while not coded.data and not coded.done:
            if self._error is not None:
                raise self._error
            self._answer = asyncio.get_running_loop().create_future()
            await self._answer
        data, coded.data = coded.data, bytearray()
        if self._paused and not coded.done:
            self._paused = False
            self._transport.resume_reading()
        return data

    def close(self) -> None:
        """Drop the connection without waiting for anything."""
        self.reusable = False
        self._transport.abort()

    def ring(self) -> None:
        """The exchange under way has taken too long."""
        self.due = NEVER
        self._fail(DeadlineExceeded("the request's time was up before Triton answered"))

    # asyncio.BufferedProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the socket."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without inheriting from it

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to put what comes next."""
        del sizehint
        room = self._room
        return self._scratch if room is None else room

    def buffer_updated(self, nbytes: int) -> None:
        """So much has come."""
        room = self._room
        if room is not None:
            if nbytes < len(room):
                self._room = room[nbytes:]
            else:
                body, self._body, self._room = self._body, None, None
                assert body is not None  # noqa: S101 - there was room in it
                self._complete(body)
                # Once whoever waits for the answer has passed it on, which is what the loop does next.
                asyncio.get_running_loop().call_soon(self._turns.give, self)
            return
        data = bytes(self._scratch[:nbytes])
        try:
            while data and self._busy:
                data = self._take_head(data) if self._coded is None else self._take_body(self._coded, data)
        except UpstreamBroken as error:
            self._fail(error)
        except InvalidRequest:
            self._fail(not_http())
        if data:
            self.close()  # nobody asked for it

    def eof_received(self) -> bool:
        """Triton sends nothing more."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the exchange that is under way, if one is."""
        self.reusable = False
        self._room = self._body = None
        self._turns.give(self)
        if self._busy and error is None and type(self._coded) is UntilClosed:
            self._coded.done = True
            self._ended(self._coded)
        elif self._busy:
            self._fail(
                UpstreamBroken(
                    "the connection to Triton broke before its answer was complete; the request may have been executed"
                )
            )
        self._on_lost(self)

    # the answer

    def _take_head(self, data: bytes) -> bytes:
        """Take a head off what has come; gives the rest."""
        if self._partial:
            data, self._partial = self._partial + data, b""
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            if len(data) > _MAX_HEAD or not data.startswith(b"HTTP/1."[: len(data)]):
                raise not_http()
            self._partial = data
            return b""
        head = self._parse(data[:end])
        rest = data[end:]
        if head.status < 200:
            return rest  # an interim answer, such as 100 Continue
        self._head = head
        length = head.length
        if length is None:
            self._coded = ChunkedBody() if head.chunked else UntilClosed()
            if not self._collects and head.status == 200:
                self.streaming = True
                self._hand_over(Reply(200, head.metadata))
            return rest
        if len(rest) >= length:
            self._complete(rest if len(rest) == length else rest[:length])
            return rest[length:]
        self._partial = rest
        if self._turns.take(self, length):
            self.begin(length)
        else:
            self._transport.pause_reading()
        return b""

    def begin(self, size: int) -> None:
        """It is this answer's turn: receive its body into memory of its own."""
        begun, self._partial = self._partial, b""
        self._body = uninitialised(size)
        self._room = memoryview(self._body)[len(begun) :]
        self._body[: len(begun)] = begun
        self._transport.resume_reading()

    def _take_body(self, coded: ChunkedBody | UntilClosed, data: bytes) -> bytes:
        """Take what belongs to the body; gives the rest."""
        used = coded.feed(data)
        if coded.done:
            self._ended(coded)
        elif self.streaming:
            if len(coded.data) >= _AHEAD and not self._paused:
                self._paused = True
                self._transport.pause_reading()
            if coded.data:
                self._hand_over(Reply(200))
        return data[used:]

    def _ended(self, coded: ChunkedBody | UntilClosed) -> None:
        if self.streaming:
            self._finish()
            self._hand_over(Reply(200))
        else:
            self._coded = None
            self._complete(coded.data)

    def _complete(self, body: Body) -> None:
        head = self._head
        assert head is not None  # noqa: S101 - a body comes after it
        self._finish()
        self._hand_over(Reply(head.status, head.metadata, body))

    def _finish(self) -> None:
        """The exchange is over. With an answer that came before all of the request was sent, so is the connection."""
        head, self._head = self._head, None
        self._busy = False
        self.due = NEVER
        self.reusable = head is not None and head.keep_alive and not self._transport.get_write_buffer_size()

    def _hand_over(self, reply: Reply) -> None:
        answer, self._answer = self._answer, None  # or an idle connection would keep its last answer in memory
        if answer is not None and not answer.done():
            answer.set_result(reply)

    def _fail(self, error: GatewayError) -> None:
        self._busy = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        else:
            self._error = error
        self.close()
