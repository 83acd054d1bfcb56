"""A client's gRPC call on its stream: one request and one reply, or messages both ways.

Each call is one task, started when the front end has something to do, and cancelled when the client gives up. The
bytes of a message count against the intake from when they come until nobody needs them any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from gateway.core.call import Body, Metadata, Reply
from gateway.core.errors import ClientGone, GatewayError, MalformedMessage
from gateway.wire import compression, status
from gateway.wire.http2.grpc_fields import RequestHead
from gateway.wire.http2.stream import Stream

if TYPE_CHECKING:
    from gateway.frontends.grpc_connection import GrpcConnection

_log = logging.getLogger("gateway.grpc")


class GrpcCall(Stream):
    """What both kinds have in common.

    Args:
        connection: where the stream belongs.
        stream_id: its number.
        head: what its headers say.
    """

    __slots__ = ("connection", "finished", "head", "idle", "started", "taken", "task")

    def __init__(self, connection: GrpcConnection, stream_id: int, head: RequestHead) -> None:
        super().__init__(stream_id, connection.peer_window, connection.listener.max_message)
        self.connection = connection
        self.head = head
        self.task: asyncio.Task[None] | None = None
        self.started = False  # whether the task has run at all: one that is cancelled before that cleans nothing up
        self.finished = False  # whether its reply is given
        self.taken = 0
        self.idle = 0.0  # seconds in which its message did not become complete

    def reserve(self, size: int) -> None:
        """Count bytes that come in.

        Raises:
            Overloaded: the worker holds too many.
        """
        self.connection.listener.intake.take(size)
        self.taken += size

    def begin(self) -> None:
        """Let the front end answer."""
        listener = self.connection.listener
        self.task = task = listener.loop.create_task(self._run())
        listener.tasks.add(task)

    def leave(self) -> None:
        """Give back what this call held."""
        listener = self.connection.listener
        if self.taken:
            listener.intake.give(self.taken)
            self.taken = 0
        if self.task is not None:
            listener.tasks.discard(self.task)

    def on_reset(self, code: int) -> None:
        """Nobody waits for the answer any more."""
        del code
        if self.task is not None and not self.finished:
            self.task.cancel()
        if not self.started:
            self.leave()

    def on_sent(self) -> None:
        """The last of a finished call's reply is on its way."""
        if self.finished:
            self.connection.forget_call(self)

    def unpacked(self, message: Body, compressed: bool) -> Body:
        """The message as the application wrote it.

        Raises:
            GatewayError: it cannot be unpacked, or not within the limits.
        """
        if not compressed:
            return message
        if self.head.encoding == "identity":
            raise MalformedMessage("a message says that it is compressed, and grpc-encoding does not say how")
        ratio = self.connection.listener.limits.max_decompression_ratio
        plain = compression.decompress(message, self.head.encoding, self.max_message, ratio)
        self.reserve(max(0, len(plain) - len(message)))
        return plain

    async def _serve(self) -> Reply:
        raise NotImplementedError

    async def _run(self) -> None:
        self.started = True
        try:
            reply = await self._serve()
        except Exception as error:
            if not isinstance(error, GatewayError):
                _log.exception("a call of %s failed inside the gateway", self.head.path)
            reply = status.grpc_reply(error)
        finally:
            self.leave()
        self.connection.finish(self, reply)


class UnaryCall(GrpcCall):
    """One message, one reply."""

    __slots__ = ("body",)

    def __init__(self, connection: GrpcConnection, stream_id: int, head: RequestHead) -> None:
        super().__init__(connection, stream_id, head)
        self.body: Body | None = None

    def on_message(self, message: Body, compressed: bool) -> None:
        """Keep the request.

        Raises:
            MalformedMessage: there is one already.
        """
        if self.body is not None:
            raise MalformedMessage("this method takes one message, and a second one came")
        self.body = self.unpacked(message, compressed) if compressed else message

    def on_end(self) -> None:
        """All has come: answer it."""
        if self.body is None or self.buffer is not None or self.prefix:
            self.connection.on_refused(self, MalformedMessage("the request ended before its message was complete"))
        else:
            self.begin()

    async def _serve(self) -> Reply:
        assert self.body is not None  # noqa: S101 - on_end saw to it
        return await self.connection.listener.frontend.unary(self.head, self.body, self.connection.peer)


class StreamingCall(GrpcCall):
    """Messages both ways: the `ClientStream` of a call."""

    __slots__ = ("assigned", "current", "gone", "messages", "opened", "receiver", "sender")

    def __init__(self, connection: GrpcConnection, stream_id: int, head: RequestHead) -> None:
        super().__init__(connection, stream_id, head)
        self.messages: deque[tuple[Body, int]] = deque()  # each with the bytes that it holds of the intake
        self.current = 0  # bytes that the message holds that was received last
        self.assigned = 0  # bytes that messages hold; the rest of `taken` is of the one that is coming
        self.opened = False  # whether our headers are sent
        self.gone = False
        self.receiver: asyncio.Future[None] | None = None
        self.sender: asyncio.Future[None] | None = None
        self.begin()

    async def receive(self) -> Body | None:
        """The client's next message; None when it has said all.

        Raises:
            ClientGone: the client went away.
        """
        self._give_back()
        while not self.messages:
            if self.gone:
                raise ClientGone("the client gave the stream up")
            if self.remote_ended:
                return None
            self.receiver = self.connection.listener.loop.create_future()
            await self.receiver
        message, self.current = self.messages.popleft()
        self.held -= len(message)
        if not self.remote_ended:
            self.connection.credit(self)
        return message

    async def start(self, metadata: Metadata) -> None:
        """Send the initial metadata."""
        if not self.opened and not self.gone:
            self.opened = True
            self.connection.open_reply(self, metadata)

    async def send(self, message: Body) -> None:
        """Give the client one message; waits while it waits for the client.

        Raises:
            ClientGone: nobody is there to read it.
        """
        if not self.opened:
            await self.start(())
        if not self.gone and not self.connection.send(self, b"", message):
            while self.outgoing:
                self.sender = self.connection.listener.loop.create_future()
                await self.sender
        if self.gone:
            raise ClientGone("the client gave the stream up")

    def on_message(self, message: Body, compressed: bool) -> None:
        """Queue a message; the stream's window bounds how many."""
        message = self.unpacked(message, compressed)
        self.messages.append((message, self.taken - self.assigned))
        self.assigned = self.taken
        self.held += len(message)
        _wake(self.receiver)

    def on_end(self) -> None:
        """The client has said all."""
        if self.buffer is not None or self.prefix:
            self.connection.on_refused(self, MalformedMessage("the request ended in the middle of a message"))
        _wake(self.receiver)

    def on_sent(self) -> None:
        """What waited for the client is on its way."""
        _wake(self.sender)
        super().on_sent()

    def on_reset(self, code: int) -> None:
        """Nobody is there any more."""
        self.gone = True
        super().on_reset(code)

    def _give_back(self) -> None:
        """The front end is done with the message it got last."""
        if self.current and self.taken:
            self.connection.listener.intake.give(self.current)
            self.taken -= self.current
            self.assigned -= self.current
        self.current = 0

    async def _serve(self) -> Reply:
        return await self.connection.listener.frontend.stream(self.head, self, self.connection.peer)


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
