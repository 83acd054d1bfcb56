"""One connection to Triton's gRPC port, and the requests that are under way on it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar, cast

from gateway.core.call import Call, Metadata
from gateway.core.errors import DeadlineExceeded, GatewayError
from gateway.upstreams.grpc_stream import Exchange
from gateway.wire.http2 import frames, grpc_fields
from gateway.wire.http2.connection import Connection, opening
from gateway.wire.http2.frames import Http2Error
from gateway.wire.http2.hpack import TABLE_SIZE, Decoder
from gateway.wire.http2.outbox import Outbox
from gateway.wire.http2.request_encoder import RequestEncoder
from gateway.wire.http2.sender import header_frames

if TYPE_CHECKING:
    from collections.abc import Callable

E = TypeVar("E", bound=Exchange)

_LAST_STREAM = 2**30  # a connection that has had so many is replaced
_TIME_IS_UP = "the request's time was up before Triton answered"


class TritonConnection(Connection[Exchange], asyncio.BufferedProtocol):
    """The client's role.

    Args:
        authority: what the requests are for.
        max_header_bytes: of Triton's headers.
        max_ratio: how many times its size a compressed answer may become.
        buffer: where bytes are received; connections may share it.
        on_lost: told once when the connection is gone.

    Attributes:
        ready: done when Triton's settings have come, or failed.
        retired: whether it takes no more requests.
        lost: whether it is gone.
        heard: how often bytes have come.
    """

    def __init__(
        self,
        authority: str,
        max_header_bytes: int,
        max_ratio: int,
        buffer: memoryview,
        on_lost: Callable[[TritonConnection], None],
    ) -> None:
        self.loop = asyncio.get_running_loop()
        super().__init__(max_header_bytes, time.monotonic)
        self.max_ratio = max_ratio
        self.ready: asyncio.Future[None] = self.loop.create_future()
        self.retired = False
        self.lost = False
        self.heard = 0
        self._encoder = RequestEncoder(authority)
        self._decoder = Decoder(max_header_bytes, grpc_fields.reply_head)
        self._buffer = buffer
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._in_place = False
        self._next_id = 1
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = float("inf")

    @property
    def full(self) -> bool:
        """Whether Triton takes no further request on it right now."""
        return len(self.streams) >= self.peer_streams

    # Requests

    def open(self, kind: Callable[[TritonConnection, int, float], E], call: Call, metadata: Metadata, end: bool) -> E:
        """Begin a request.

        Args:
            kind: of exchange.
            call: its line is the method's path, its body the first message.
            metadata: what goes along.
            end: whether the body is all there is to send; otherwise an empty body is none.

        Raises:
            DeadlineExceeded: the call's time is up.
        """
        deadline = call.deadline.at
        left = deadline - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded(_TIME_IS_UP)
        stream_id, self._next_id = self._next_id, self._next_id + 2
        self.last_id = stream_id
        if stream_id > _LAST_STREAM:
            self.retired = True
        exchange = kind(self, stream_id, deadline)
        self.streams[stream_id] = exchange
        self._outbox.alone = len(self.streams) == 1
        if deadline < self._alarm_at:
            self._set_alarm(deadline)
        block = self._encoder.encode(call.line, int(left * 1000) + 1, grpc_fields.wire_form(metadata))
        head = header_frames(stream_id, block, end_stream=False, max_frame=self.peer_frame)
        exchange.local_ended = end
        if end or call.body:
            self.send(exchange, head, call.body, end=end)
        else:
            self.write(head)
        return exchange

    def send_end(self, exchange: Exchange) -> None:
        """Say that no more messages follow."""
        exchange.local_ended = True
        if exchange.id in self.streams:
            self.write(frames.frame(frames.DATA, frames.END_STREAM, exchange.id))

    def give_up(self, exchange: Exchange) -> None:
        """Have Triton stop working on a request that nobody waits for, if it still does."""
        if self.streams.get(exchange.id) is exchange:
            self.reset(exchange, frames.CANCEL)
            self._leave_if_done()

    def ended(self, exchange: Exchange) -> None:
        """Triton has answered."""
        if self.streams.pop(exchange.id, None) is None:
            return
        if exchange.outgoing or not exchange.local_ended:
            self.write(frames.rst_stream(exchange.id, frames.CANCEL))
        self.release(exchange)
        if self.retired:
            self._leave_if_done()

    def retire(self) -> None:
        """Take no more requests, and close when those under way are answered."""
        self.retired = True
        self._leave_if_done()

    def abort(self) -> None:
        """Drop the connection."""
        self.retired = True
        self.ready.cancel()
        if self._transport is not None:
            self._transport.abort()

    # asyncio.BufferedProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Introduce ourselves."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without inheriting from it
        self._outbox = Outbox(self._transport, self.loop.call_soon)
        self.write, self.writelines = self._outbox.write, self._outbox.writelines
        self.write(frames.PREFACE + opening(self._max_header_bytes, None))

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to receive: in the message that is being received, or in the buffer that connections share."""
        del sizehint
        if self._payload_left:
            view = self.direct()
            if view is not None:
                self._in_place = True
                return view
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what came."""
        self.heard += 1
        try:
            if self._in_place:
                self._in_place = False
                self.received(nbytes)
            else:
                self.receive(self._buffer[:nbytes])
        except Http2Error as error:
            self.write(frames.goaway(0, error.code, str(error)))
            self._outbox.flush()
            self.abort()

    def pause_writing(self) -> None:
        """Triton reads more slowly than we write."""
        self.paused = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self.paused = False
        self.pump()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits."""
        del exc
        self.paused = self.retired = self.lost = True
        self._outbox.close()
        if self._alarm is not None:
            self._alarm.cancel()
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("it does not speak gRPC"))
        for exchange in list(self.streams.values()):
            self.drop(exchange, frames.CONNECT_ERROR)
        self._on_lost(self)

    # Events of the connection

    def on_headers(self, stream_id: int, block: bytes, end_stream: bool) -> None:
        """Headers or trailers of an answer."""
        head = self._decoder.decode(block)
        exchange = self.streams.get(stream_id)
        if exchange is None:
            self._check_opened(stream_id)
        else:
            exchange.on_headers(head, end_stream)

    def on_refused(self, stream: Exchange, error: GatewayError) -> None:
        """An answer that is not taken."""
        stream.fail(error)

    def on_settled(self) -> None:
        """Triton is there."""
        if not self.ready.done():
            self.ready.set_result(None)

    def on_table_size(self, size: int) -> None:
        """Triton remembers less than HTTP/2 begins with, or again more, which does not interest us."""
        if size < TABLE_SIZE:
            self._encoder.stop_indexing()

    def on_goaway(self, last_id: int, code: int) -> None:
        """Triton leaves, and has not looked at what came after `last_id`."""
        del code
        self.retired = True
        for exchange in [exchange for number, exchange in self.streams.items() if number > last_id]:
            self.drop(exchange, frames.REFUSED_STREAM)
        self._leave_if_done()

    def _leave_if_done(self) -> None:
        if self.retired and not self.streams and self._transport is not None:
            self._outbox.flush()
            self._transport.close()

    # Deadlines: one alarm for all requests, set to the nearest

    def _set_alarm(self, deadline: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = deadline
        self._alarm = self.loop.call_later(max(0.0, deadline - time.monotonic()), self._ring)

    def _ring(self) -> None:
        """Give up what is late, and wait for the next; what is answered by now has left no trace."""
        self._alarm, self._alarm_at = None, float("inf")
        now = time.monotonic()
        silent = False
        for exchange in [exchange for exchange in self.streams.values() if exchange.deadline <= now]:
            silent = silent or exchange.heard == self.heard
            exchange.fail(DeadlineExceeded(_TIME_IS_UP))
        if self.streams:
            self._set_alarm(min([exchange.deadline for exchange in self.streams.values()]))
        if (
            silent
        ):  # not a byte since: perhaps there is nobody any more, so the next request gets a connection of its own
            self.retire()
