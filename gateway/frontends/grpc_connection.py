"""One client's gRPC connection: its frames become calls, and the calls' replies become frames."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from gateway.core.call import Metadata, Reply
from gateway.core.errors import DeadlineExceeded, GatewayError
from gateway.frontends import request_id as request_ids
from gateway.frontends.grpc_stream import GrpcCall, StreamingCall, UnaryCall
from gateway.frontends.peer import address_of
from gateway.wire import status
from gateway.wire.http2 import frames, grpc_fields
from gateway.wire.http2.connection import Connection, opening
from gateway.wire.http2.frames import Http2Error, StreamError
from gateway.wire.http2.grpc_fields import ENCODINGS, RequestHead
from gateway.wire.http2.hpack import Decoder
from gateway.wire.http2.outbox import Outbox
from gateway.wire.http2.sender import header_frames

if TYPE_CHECKING:
    from gateway.frontends.grpc_server import GrpcListener

MAX_STREAMS = 1000
"""Calls that one connection may have at a time."""

_REPLY_BEGINS = frames.HEAD.pack(0, len(grpc_fields.RESPONSE_HEADERS), frames.HEADERS, frames.END_HEADERS, 0)[:5]
_OK = grpc_fields.trailers(status.OK, "", ())


class GrpcConnection(Connection[GrpcCall], asyncio.BufferedProtocol):
    """The server's role.

    Args:
        listener: whose connection it is; also lends the buffer that bytes are received in.

    Attributes:
        peer: the client's address.
    """

    def __init__(self, listener: GrpcListener) -> None:
        super().__init__(listener.limits.max_header_bytes, listener.loop.time)
        self.listener = listener
        self.peer = ""
        self.idle = 0.0  # seconds without a byte, as the listener's clock sees it
        self._decoder: Decoder[RequestHead | None] = Decoder(listener.limits.max_header_bytes, _interpret)
        self._transport: asyncio.Transport | None = None
        self._greeting: bytes | None = b""  # what came of the preface; None when it is complete
        self._in_place = False
        self._refuses_above = frames.MAX_WINDOW
        self._draining = False

    # asyncio.BufferedProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say our settings."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without inheriting from it
        self.peer = address_of(transport)
        self._outbox = Outbox(self._transport, self.listener.loop.call_soon)
        self.write, self.writelines = self._outbox.write, self._outbox.writelines
        self.write(opening(self.listener.limits.max_header_bytes, MAX_STREAMS))
        self.listener.connections.add(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to receive: in the message that is being received, or in the buffer that all connections share."""
        del sizehint
        if self._payload_left:
            view = self.direct()
            if view is not None:
                self._in_place = True
                return view
        return self.listener.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what came."""
        self.idle = 0.0
        try:
            if self._in_place:
                self._in_place = False
                self.received(nbytes)
            elif self._greeting is None:
                self.receive(self.listener.buffer[:nbytes])
            else:
                self._greet(self.listener.buffer[:nbytes])
        except Http2Error as error:
            self.close(error.code, str(error))

    def pause_writing(self) -> None:
        """The client reads more slowly than we write."""
        self.paused = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self.paused = False
        self.pump()

    def eof_received(self) -> bool:
        """A client that half-closes reads no replies either."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel what is under way."""
        del exc
        self.paused = True
        self._outbox.close()
        for stream in list(self.streams.values()):
            self.drop(stream, frames.CANCEL)
        self.listener.lost(self)

    # Requests

    def on_headers(self, stream_id: int, block: bytes, end_stream: bool) -> None:
        """Open a call, or end a request by its trailers."""
        is_new = stream_id > self.last_id
        if is_new:
            if not stream_id & 1:
                raise Http2Error(frames.PROTOCOL_ERROR, "a client's stream has an even number")
            self.last_id = stream_id
        head = self._decoder.decode(block)
        if is_new:
            self._open(stream_id, head, end_stream)
            return
        stream = self.streams.get(stream_id)
        if stream is None:
            self._floods.noise()
        elif stream.remote_ended:
            raise StreamError(frames.STREAM_CLOSED, "headers came after the end of the request")
        elif head is not None or not end_stream:
            raise StreamError(frames.PROTOCOL_ERROR, "headers came in the middle of a request")
        else:
            stream.remote_ended = True
            stream.on_end()

    def _open(self, stream_id: int, head: RequestHead | None, end_stream: bool) -> None:
        if head is None:
            raise StreamError(frames.PROTOCOL_ERROR, "the pseudo headers are missing")
        if len(self.streams) >= MAX_STREAMS or stream_id > self._refuses_above:
            self.write(frames.rst_stream(stream_id, frames.REFUSED_STREAM))
            return
        streaming = self.listener.frontend.streaming(head.path)
        refusal = _refusal(head, streaming is not None)
        if refusal is not None:
            self.write(header_frames(stream_id, refusal, end_stream=True))
            if not end_stream:
                self.write(frames.rst_stream(stream_id, frames.NO_ERROR))
            return
        stream = StreamingCall(self, stream_id, head) if streaming else UnaryCall(self, stream_id, head)
        self.streams[stream_id] = stream
        if end_stream:
            stream.remote_ended = True
            stream.on_end()

    # Replies

    def open_reply(self, stream: GrpcCall, metadata: Metadata) -> None:
        """Send a reply's headers, before its messages."""
        block = grpc_fields.RESPONSE_HEADERS + grpc_fields.encoded(metadata)
        self.write(header_frames(stream.id, block, end_stream=False, max_frame=self.peer_frame))

    def finish(self, stream: GrpcCall, reply: Reply) -> None:
        """Give a call's reply; of a streaming call, the status that it ends with."""
        if stream.id not in self.streams:
            return
        stream.finished = True
        self._outbox.alone = len(self.streams) == 1
        block = grpc_fields.trailers(reply.status, reply.message, reply.metadata)
        opened = isinstance(stream, StreamingCall) and stream.opened
        with_message = reply.status == status.OK and isinstance(stream, UnaryCall)
        if not opened and not with_message:
            block = grpc_fields.RESPONSE_HEADERS + block
        after = header_frames(stream.id, block, True, self.peer_frame)
        if not stream.remote_ended:
            after += frames.rst_stream(stream.id, frames.NO_ERROR)
        if with_message:
            before = _REPLY_BEGINS + after[5:9] + grpc_fields.RESPONSE_HEADERS
            if self.send(stream, before, reply.body, after):
                self.forget_call(stream)
        else:
            self.write(after)
            self.forget_call(stream)

    def on_refused(self, stream: GrpcCall, error: GatewayError) -> None:
        """Answer a request that is not taken."""
        if stream.task is not None:
            stream.task.cancel()
        if not stream.started:
            stream.leave()
        reply = request_ids.identified(status.grpc_reply(error), request_ids.request_id(stream.head.metadata))
        self.finish(stream, reply)

    def forget_call(self, stream: GrpcCall) -> None:
        """A call is answered."""
        if self.streams.pop(stream.id, None) is not None:
            self.release(stream)
        if self._draining and not self.streams:
            self._leave_if_empty()

    # The end

    def drain(self) -> None:
        """Take no new calls, finish those under way, and close."""
        if self._greeting is not None:
            self.abort()
        elif not self._draining:
            self._draining = True
            # What the client sent before it heard of this still counts; its answer to the ping comes after it.
            self.write(frames.goaway(frames.MAX_WINDOW, frames.NO_ERROR))
            self.write(frames.frame(frames.PING, 0, 0, b"draining"))

    def on_pong(self) -> None:
        """The client knows that we leave."""
        if self._draining and self._refuses_above == frames.MAX_WINDOW:
            self._refuses_above = self.last_id
            self.write(frames.goaway(self.last_id, frames.NO_ERROR))
            self._leave_if_empty()

    def close(self, code: int, message: str = "") -> None:
        """Say why, and drop the connection; one that does not even take that is cut off the next time."""
        if self._transport is None or self._transport.is_closing():
            self.abort()
        else:
            self.write(frames.goaway(self.last_id, code, message))
            self._outbox.flush()
            self._transport.close()

    def abort(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()

    def look(self, seconds: float) -> None:
        """See what has not got on since the listener's clock came by.

        Args:
            seconds: how long ago that was.
        """
        limits = self.listener.limits
        self.idle += seconds
        streams = list(self.streams.values())
        if not streams:
            if self._greeting is not None and self.idle > limits.head_seconds:
                self.abort()
            elif self.idle > limits.idle_seconds:
                self.close(frames.NO_ERROR)
        elif self.idle > limits.idle_seconds and any(stream.outgoing for stream in streams):
            self.abort()  # it asked, and does not read the answers
        for stream in streams:
            if stream.task is None and not stream.finished:
                stream.idle += seconds
                if stream.idle > limits.deadline_seconds:
                    self.on_refused(stream, DeadlineExceeded("the request's message did not come within its time"))

    def _leave_if_empty(self) -> None:
        if not self.streams and self._refuses_above != frames.MAX_WINDOW and self._transport is not None:
            self._outbox.flush()
            self._transport.close()

    def _greet(self, view: memoryview) -> None:
        """Check that the client speaks HTTP/2."""
        greeting = (self._greeting or b"") + view
        if not frames.PREFACE.startswith(greeting[: len(frames.PREFACE)]):
            raise Http2Error(frames.PROTOCOL_ERROR, "this port speaks gRPC (HTTP/2) only")
        self._greeting = greeting
        if len(greeting) >= len(frames.PREFACE):
            self._greeting = None
            rest = greeting[len(frames.PREFACE) :]
            if rest:
                self.receive(memoryview(rest))


def _interpret(fields: list[tuple[bytes, bytes]]) -> RequestHead | None:
    return grpc_fields.request_head(fields)


def _refusal(head: RequestHead, known: bool) -> bytes | None:
    """The headers that refuse a call at once, if it is to be refused."""
    if head.refusal:
        return grpc_fields.http_refusal(head.refusal)
    if not known:
        code, message = status.UNIMPLEMENTED, f"Method not found! This gateway does not serve {head.path[:200]}"
    elif head.encoding not in ENCODINGS:
        code = status.UNIMPLEMENTED
        message = f"grpc-encoding {head.encoding[:50]} is not supported; send one of {', '.join(ENCODINGS)}"
    elif head.fault:
        code, message = status.INTERNAL, head.fault
    else:
        return None
    metadata = ((request_ids.NAME, request_ids.request_id(head.metadata).encode()),)
    return grpc_fields.RESPONSE_HEADERS + grpc_fields.trailers(code, message, metadata)
