"""One HTTP/2 connection, in either role: bytes in, events of streams out.

Rules:
- Frames are taken apart in the buffer that they were received in. DATA is handed on piece by piece as it comes; any
  other frame is short and waits until it is whole.
- An `Http2Error` ends the connection (the owner says GOAWAY and closes), a `StreamError` one stream.
- A stream that this side gave up is forgotten at once: what the peer still sends on it is counted and dropped.

Source: RFC 9113.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.core.errors import GatewayError
from gateway.wire.http2 import frames
from gateway.wire.http2.control import Control, S
from gateway.wire.http2.frames import Http2Error, StreamError
from gateway.wire.http2.stream import WINDOW

_LARGEST_FRAME = 2**20
_TOP_UP = 2**30  # bytes of the connection's window that are left when it is filled up again
_DIRECT = 2**16  # bytes of a DATA frame that must be missing for receiving them in place
_MAX_CONTINUATIONS = 64
_PART = 4096  # bytes from which a DATA frame is probably a part of a long message


def opening(max_header_bytes: int, max_streams: int | None) -> bytes:
    """What a side says first: its settings, and that its connection window is as good as endless.

    Args:
        max_header_bytes: of a decoded header list.
        max_streams: a server's limit of streams at a time; None for a client.
    """
    values = {
        frames.INITIAL_WINDOW_SIZE: WINDOW,
        frames.MAX_FRAME_SIZE: _LARGEST_FRAME,
        frames.MAX_HEADER_LIST_SIZE: max_header_bytes,
    }
    if max_streams is None:
        values[frames.ENABLE_PUSH] = 0
    else:
        values[frames.MAX_CONCURRENT_STREAMS] = max_streams
    return frames.settings(values) + frames.window_update(0, frames.MAX_WINDOW - frames.DEFAULT_WINDOW)


class Connection(Control[S]):
    """The receiving half: frames and their order.

    Args:
        max_header_bytes: most bytes of a header block.
        now: seconds of a monotonic clock.
    """

    def __init__(self, max_header_bytes: int, now: Callable[[], float]) -> None:
        super().__init__(now)
        self._max_header_bytes = max_header_bytes
        self._receive_window = frames.MAX_WINDOW
        self._rest = bytearray()  # of a frame that is not whole
        self._wanted = 0  # bytes that make it so
        self._payload_left = 0  # of the DATA frame that is being received
        self._data_ends = False
        self._block: bytearray | None = None  # of headers that are not whole
        self._block_stream = 0
        self._block_ends = False
        self._continuations = 0

    def receive(self, view: memoryview) -> None:
        """Take what came off the socket.

        Raises:
            Http2Error: the connection cannot go on.
        """
        if self._rest:
            self._rest += view
            if len(self._rest) < self._wanted:
                return
            view, self._rest = memoryview(self._rest), bytearray()
        position, end = 0, len(view)
        while position < end:
            if self._payload_left:
                size = min(self._payload_left, end - position)
                self._payload_left -= size
                self._data(view[position : position + size])
                position += size
                continue
            if end - position < frames.HEAD_SIZE:
                self._wanted = frames.HEAD_SIZE
                break
            high, low, kind, flags, stream_id = frames.HEAD.unpack_from(view, position)
            length = high << 16 | low
            if kind == frames.DATA and not flags & frames.PADDED:
                position = self._unpadded_data(view, position, length, flags, stream_id & frames.MAX_WINDOW)
                continue
            stop = position + frames.HEAD_SIZE + length
            if length > frames.DEFAULT_FRAME_SIZE:
                self._check_length(kind, length)
            if stop > end:
                self._wanted = frames.HEAD_SIZE + length
                break
            self._frame(kind, flags, stream_id & frames.MAX_WINDOW, bytes(view[position + frames.HEAD_SIZE : stop]))
            position = stop
        if position < end:
            self._rest = bytearray(view[position:])

    def direct(self) -> memoryview | None:
        """Where the next bytes of a long message can be received in place, if they can; then call `received`."""
        stream = self._data_stream
        if stream is None or self._payload_left < _DIRECT:
            return None
        try:
            view = stream.direct()
        except GatewayError as error:
            self._refuse(stream, error)
            return None
        return None if view is None else view[: self._payload_left]

    def received(self, size: int) -> None:
        """`size` bytes were written to what `direct` gave.

        Raises:
            Http2Error: the connection cannot go on.
        """
        stream = self._data_stream
        self._payload_left -= size
        if stream is None:
            return
        try:
            stream.received(size)
        except GatewayError as error:
            self._refuse(stream, error)
        else:
            self._after_data(stream)

    def credit(self, stream: S) -> None:
        """Let the peer send as much as may be held, and all of the message that it is about to send."""
        wanted = max(WINDOW - stream.held, 0 if stream.held else stream.missing)
        more = wanted - stream.receive_window
        if more >= WINDOW // 2 or (more > 0 and stream.missing > stream.receive_window):
            stream.receive_window = wanted
            self.write(frames.window_update(stream.id, more))

    # DATA

    def _begin_data(self, length: int, flags: int, stream_id: int) -> None:
        if self._block is not None:
            raise Http2Error(frames.PROTOCOL_ERROR, "DATA came in the middle of headers")
        if length > _LARGEST_FRAME:
            raise Http2Error(frames.FRAME_SIZE_ERROR, "a DATA frame is too large")
        self._receive_window -= length
        if self._receive_window < _TOP_UP:
            self.write(frames.window_update(0, frames.MAX_WINDOW - self._receive_window))
            self._receive_window = frames.MAX_WINDOW
        stream = self.streams.get(stream_id)
        if stream is None:
            self._check_opened(stream_id)
            self._floods.noise()
        else:
            stream.receive_window -= length
            if stream.remote_ended or stream.receive_window < 0:
                self.reset(stream, frames.STREAM_CLOSED if stream.remote_ended else frames.FLOW_CONTROL_ERROR)
                stream = None
        self._data_stream = stream
        self._data_ends = bool(flags & frames.END_STREAM)
        self._payload_left = length
        if not length:
            if not self._data_ends:
                self._floods.noise()
            if stream is not None:
                self._after_data(stream)

    def _unpadded_data(self, view: memoryview, position: int, length: int, flags: int, stream_id: int) -> int:
        """Take a DATA frame's head, or whole frames of a long message; gives where what was taken ends."""
        if length >= _PART and (stop := self._parts(view, position, stream_id)):
            return stop
        self._begin_data(length, flags, stream_id)
        return position + frames.HEAD_SIZE

    def _parts(self, view: memoryview, position: int, stream_id: int) -> int:
        """Take whole DATA frames from the middle of a long message: they are many, and nothing happens in between.

        Returns:
            where the last of them ends; 0 if there is none of that kind.
        """
        stream = self.streams.get(stream_id)
        if stream is None or stream.buffer is None or stream.remote_ended or self._block is not None:
            return 0
        buffer, filled, taken, end = memoryview(stream.buffer), stream.filled, 0, len(view)
        # Neither the message nor what is reserved of it nor a window ends with these frames.
        room = min(stream.missing - 1, stream.counted - filled, stream.receive_window, self._receive_window - _TOP_UP)
        while end - position >= frames.HEAD_SIZE:
            high, low, kind, flags, number = frames.HEAD.unpack_from(view, position)
            length = high << 16 | low
            stop = position + frames.HEAD_SIZE + length
            if kind != frames.DATA or flags or number != stream_id or not 0 < length <= room - taken or stop > end:
                break
            buffer[filled : filled + length] = view[position + frames.HEAD_SIZE : stop]
            filled += length
            taken += length
            position = stop
        if not taken:
            return 0
        stream.filled = filled
        stream.missing -= taken
        stream.receive_window -= taken
        self._receive_window -= taken
        return position

    def _padded_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        content = frames.unpadded(flags & frames.PADDED, payload)
        self._begin_data(len(payload), flags, stream_id)
        self._payload_left = 0
        if content:
            self._data(memoryview(content))
        elif self._data_stream is not None:
            self._floods.noise()
            self._after_data(self._data_stream)

    def _data(self, piece: memoryview) -> None:
        stream = self._data_stream
        if stream is None:
            return
        try:
            stream.feed(piece)
        except GatewayError as error:
            self._refuse(stream, error)
        else:
            self._after_data(stream)

    def _after_data(self, stream: S) -> None:
        """See whether the stream ends here, or the peer needs more room for what it is about to send."""
        if self._data_stream is not stream:
            return
        if self._payload_left:
            if stream.missing - self._payload_left > stream.receive_window:
                self.credit(stream)
            return
        self._data_stream = None
        if self._data_ends:
            stream.remote_ended = True
            stream.on_end()
        elif stream.receive_window < WINDOW // 2 or stream.missing > stream.receive_window:
            self.credit(stream)

    def _refuse(self, stream: S, error: GatewayError) -> None:
        if self._data_stream is stream:
            self._data_stream = None
        self.on_refused(stream, error)

    # All other frames

    def _check_length(self, kind: int, length: int) -> None:
        """Before a long frame is waited for."""
        if length > _LARGEST_FRAME:
            raise Http2Error(frames.FRAME_SIZE_ERROR, "a frame is too large")
        if kind != frames.DATA and length > self._max_header_bytes:
            raise Http2Error(frames.ENHANCE_YOUR_CALM, f"headers are larger than {self._max_header_bytes} bytes")

    def _frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if self._block is not None and (kind != frames.CONTINUATION or stream_id != self._block_stream):
            raise Http2Error(frames.PROTOCOL_ERROR, "a frame came in the middle of headers")
        try:
            if kind == frames.HEADERS:
                self._headers(flags, stream_id, payload)
            elif kind == frames.CONTINUATION:
                self._continuation(flags, payload)
            elif kind == frames.DATA:
                self._padded_data(flags, stream_id, payload)
            else:
                self.control_frame(kind, flags, stream_id, payload)
        except StreamError as error:
            stream = self.streams.get(stream_id)
            self._floods.reset()
            if stream is not None:
                self.reset(stream, error.code)
            else:
                self.write(frames.rst_stream(stream_id, error.code))

    def _headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        if not stream_id:
            raise Http2Error(frames.PROTOCOL_ERROR, "HEADERS on stream 0")
        if flags & (frames.PADDED | frames.PRIORITIZED):
            payload = frames.unpadded(flags, payload)
        if flags & frames.END_HEADERS:
            self.on_headers(stream_id, payload, bool(flags & frames.END_STREAM))
            return
        self._block, self._block_stream = bytearray(payload), stream_id
        self._block_ends, self._continuations = bool(flags & frames.END_STREAM), 0

    def _continuation(self, flags: int, payload: bytes) -> None:
        if self._block is None:
            raise Http2Error(frames.PROTOCOL_ERROR, "CONTINUATION without HEADERS")
        self._block += payload
        self._continuations += 1
        if len(self._block) > self._max_header_bytes or self._continuations > _MAX_CONTINUATIONS:
            raise Http2Error(frames.ENHANCE_YOUR_CALM, f"headers are larger than {self._max_header_bytes} bytes")
        if flags & frames.END_HEADERS:
            block, self._block = bytes(self._block), None
            self.on_headers(self._block_stream, block, self._block_ends)
