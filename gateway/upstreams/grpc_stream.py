"""One request to Triton on its stream: a message out and a reply back, or messages both ways."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from gateway.core.call import Body, Metadata, Reply
from gateway.core.errors import GatewayError, UpstreamBroken, UpstreamUnavailable
from gateway.wire import compression
from gateway.wire.http2 import frames
from gateway.wire.http2.grpc_fields import ReplyHead
from gateway.wire.http2.stream import Stream
from gateway.wire.redact import redact

if TYPE_CHECKING:
    from gateway.upstreams.grpc_connection import TritonConnection

BROKEN = "the connection to Triton broke before its answer was complete; the request may have been executed"
REFUSED = "Triton did not take the request; try again shortly"
_LARGEST = 2**31 - 1


class Exchange(Stream):
    """What both kinds have in common.

    Args:
        connection: where the stream belongs.
        stream_id: its number.
        deadline: when nobody waits for an answer any more, on the monotonic clock.
    """

    __slots__ = ("connection", "deadline", "head", "heard", "local_ended", "outcome")

    def __init__(self, connection: TritonConnection, stream_id: int, deadline: float) -> None:
        super().__init__(stream_id, connection.peer_window)
        self.connection = connection
        self.deadline = deadline
        self.heard = connection.heard
        self.head: ReplyHead | None = None
        self.local_ended = False  # whether all that there is to send has been given to the connection
        self.outcome: asyncio.Future[Reply] = connection.loop.create_future()

    def on_headers(self, head: ReplyHead, end_stream: bool) -> None:
        """Headers, trailers, or both at once have come."""
        if end_stream:
            self.finish(head)
        elif 100 <= head.http_status < 200:
            return
        elif head.http_status != 200:
            self.finish(head)
        elif self.head is not None:
            self.fail(UpstreamBroken("Triton's answer was not gRPC; the request may have been executed"))
        else:
            self.head = head

    def on_end(self) -> None:
        """Triton ended the stream without trailers."""
        self.fail(UpstreamBroken("Triton's answer ended without a status; the request may have been executed"))

    def on_reset(self, code: int) -> None:
        """Triton, or this side, gave the stream up."""
        if code == frames.REFUSED_STREAM:
            self.settle(UpstreamUnavailable(REFUSED))
        else:
            self.settle(UpstreamBroken(BROKEN))

    def finish(self, head: ReplyHead) -> None:
        """The status is there."""
        if head.status is None and head.http_status in (0, 200):
            self.on_end()
            return
        if head.status is None:
            status, message = head.grpc_status(), f"Triton's port answered with HTTP status {head.http_status}"
        else:
            status, message = head.status, redact(head.message) if head.message else ""
        self.settle(Reply(status, head.metadata, b"", message))
        self.connection.ended(self)

    def fail(self, error: GatewayError) -> None:
        """Give the stream up, and say why to whoever waits."""
        self.settle(error)
        self.connection.give_up(self)

    def abandon(self) -> None:
        """Nobody waits any more: have Triton stop, if it has not answered."""
        if not self.outcome.cancel() and not self.outcome.cancelled():
            self.outcome.exception()  # it was seen, or does not interest any more
        self.connection.give_up(self)

    def settle(self, outcome: Reply | GatewayError) -> None:
        """Say how it ended; only the first counts."""
        if self.outcome.done():
            return
        if isinstance(outcome, Reply):
            self.outcome.set_result(outcome)
        else:
            self.outcome.set_exception(outcome)

    def unpacked(self, message: Body, compressed: bool) -> Body:
        """The message as Triton wrote it."""
        if not compressed:
            return message
        encoding = self.head.encoding if self.head is not None else "identity"
        if encoding == "identity":
            raise UpstreamBroken("Triton's answer says that it is compressed, and not how")
        try:
            return compression.decompress(message, encoding, _LARGEST, self.connection.max_ratio)
        except GatewayError:
            raise UpstreamBroken("Triton's answer cannot be unpacked") from None


class UnaryExchange(Exchange):
    """One message out, one back."""

    __slots__ = ("body",)

    def __init__(self, connection: TritonConnection, stream_id: int, deadline: float) -> None:
        super().__init__(connection, stream_id, deadline)
        self.body: Body | None = None

    def on_message(self, message: Body, compressed: bool) -> None:
        """Keep the answer until its status comes."""
        if self.body is not None:
            raise UpstreamBroken("Triton answered twice; the request may have been executed")
        self.body = self.unpacked(message, compressed) if compressed else message

    def finish(self, head: ReplyHead) -> None:
        """The status is there, and with it the reply is complete."""
        if head.status != 0:
            super().finish(head)
        elif self.body is None or self.buffer is not None or self.prefix:
            self.fail(UpstreamBroken(BROKEN))
        else:
            self.settle(Reply(0, head.metadata, self.body))
            self.connection.ended(self)


class StreamingExchange(Exchange):
    """Messages both ways."""

    __slots__ = ("changed", "messages", "sent")

    def __init__(self, connection: TritonConnection, stream_id: int, deadline: float) -> None:
        super().__init__(connection, stream_id, deadline)
        self.messages: deque[Body] = deque()
        self.changed: asyncio.Future[None] | None = None
        self.sent: asyncio.Future[None] | None = None

    async def headers(self) -> Metadata | None:
        """Wait for Triton's initial metadata; None if the stream ended without."""
        while self.head is None and not self.outcome.done():
            await self._change()
        return None if self.head is None else self.head.metadata

    async def receive(self) -> Body | None:
        """Triton's next message; None when the outcome is there instead."""
        while not self.messages:
            if self.outcome.done():
                return None
            await self._change()
        message = self.messages.popleft()
        self.held -= len(message)
        if not self.outcome.done():
            self.connection.credit(self)
        return message

    async def send(self, message: Body) -> bool:
        """Send Triton one message; waits until it is out. Gives False when the stream has ended."""
        if self.outcome.done():
            return False
        if not self.connection.send(self, b"", message):
            while self.outgoing and not self.outcome.done():
                self.sent = self.connection.loop.create_future()
                await self.sent
        return not self.outcome.done()

    def on_headers(self, head: ReplyHead, end_stream: bool) -> None:
        """Let whoever waits for them go on."""
        super().on_headers(head, end_stream)
        _wake(self.changed)

    def on_message(self, message: Body, compressed: bool) -> None:
        """Queue a message; the stream's window bounds how many."""
        message = self.unpacked(message, compressed)
        self.messages.append(message)
        self.held += len(message)
        _wake(self.changed)

    def on_sent(self) -> None:
        """What waited for Triton is on its way."""
        _wake(self.sent)

    def settle(self, outcome: Reply | GatewayError) -> None:
        """Say how it ended, after the messages that came before."""
        super().settle(outcome)
        _wake(self.changed)
        _wake(self.sent)

    async def _change(self) -> None:
        self.changed = self.connection.loop.create_future()
        await self.changed


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
