"""What concerns a whole connection: settings, pings, windows, resets and farewells, in either role.

Source: RFC 9113, sections 6.3 to 6.9.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar

from gateway.core.errors import GatewayError
from gateway.wire.http2 import frames
from gateway.wire.http2.floods import Floods
from gateway.wire.http2.frames import Http2Error
from gateway.wire.http2.sender import Sender
from gateway.wire.http2.stream import Stream

S = TypeVar("S", bound=Stream)

_FIXED_SIZE = {frames.PING: 8, frames.PRIORITY: 5, frames.RST_STREAM: 4, frames.WINDOW_UPDATE: 4}


class Control(Sender, Generic[S]):
    """The streams of a connection, and the frames that are not about their content.

    Args:
        now: seconds of a monotonic clock.

    Attributes:
        streams: those that are open, by number.
        last_id: the highest stream that was opened, by whichever side opens them.
        settled: whether the peer's settings have come.
        peer_streams: how many streams the peer takes at a time.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__()
        self.streams: dict[int, S] = {}
        self.last_id = 0
        self.settled = False
        self.peer_streams = 2**31
        self._floods = Floods(now)
        self._data_stream: S | None = None  # of the DATA frame that is being received

    # Events, for the roles

    def on_headers(self, stream_id: int, block: bytes, end_stream: bool) -> None:
        """Headers or trailers have come, still in HPACK."""
        raise NotImplementedError

    def on_refused(self, stream: S, error: GatewayError) -> None:
        """What a stream brought is not taken."""
        raise NotImplementedError

    def on_goaway(self, last_id: int, code: int) -> None:
        """The peer takes no more streams, and none above `last_id`."""

    def on_settled(self) -> None:
        """The peer's first settings have come."""

    def on_pong(self) -> None:
        """The peer answered a ping."""

    def on_table_size(self, size: int) -> None:
        """The peer's HPACK table has another size, in bytes."""

    # Streams

    def reset(self, stream: S, code: int) -> None:
        """Give a stream up, and say so to the peer."""
        self.write(frames.rst_stream(stream.id, code))
        self.drop(stream, code)

    def drop(self, stream: S, code: int) -> None:
        """Forget a stream that is over before its time."""
        if self.streams.pop(stream.id, None) is not None:
            self.release(stream)
            stream.on_reset(code)

    def release(self, stream: S) -> None:
        """Neither send nor receive on a stream that is no longer in `streams`."""
        if stream.outgoing:
            self.forget(stream)
        if self._data_stream is stream:
            self._data_stream = None

    # Frames

    def control_frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        """Take any frame but DATA, HEADERS and CONTINUATION.

        Raises:
            Http2Error: the connection cannot go on.
            StreamError: the stream cannot.
        """
        handler = self._HANDLERS.get(kind)
        if handler is None:  # types that are not known are to be ignored
            self._floods.noise()
            return
        size = _FIXED_SIZE.get(kind)
        if size is not None and len(payload) != size:
            raise Http2Error(frames.FRAME_SIZE_ERROR, "a frame has not the length of its type")
        if kind in (frames.SETTINGS, frames.PING, frames.GOAWAY):
            if stream_id:
                raise Http2Error(frames.PROTOCOL_ERROR, "a frame of the connection came on a stream")
        elif not stream_id and kind != frames.WINDOW_UPDATE:
            raise Http2Error(frames.PROTOCOL_ERROR, "a frame of a stream came on the connection")
        handler(self, flags, stream_id, payload)

    def _settings(self, flags: int, _: int, payload: bytes) -> None:
        self._floods.noise()
        if flags & frames.ACK:
            if payload:
                raise Http2Error(frames.FRAME_SIZE_ERROR, "an acknowledgement of SETTINGS is not empty")
            return
        values = frames.read_settings(payload)
        # The peer counts by its new values from when it reads this: what they allow must come after it.
        self.write(frames.SETTINGS_ACK)
        for name, value in values:
            if name == frames.INITIAL_WINDOW_SIZE:
                self.change_window(self.streams.values(), value)
            elif name == frames.MAX_FRAME_SIZE:
                self.peer_frame = value
            elif name == frames.MAX_CONCURRENT_STREAMS:
                self.peer_streams = value
            elif name == frames.HEADER_TABLE_SIZE:
                self.on_table_size(value)
        self.pump()
        if not self.settled:
            self.settled = True
            self.on_settled()

    def _ping(self, flags: int, _: int, payload: bytes) -> None:
        self._floods.noise()
        if flags & frames.ACK:
            self.on_pong()
        else:
            self.write(frames.frame(frames.PING, frames.ACK, 0, payload))

    def _goaway(self, _: int, __: int, payload: bytes) -> None:
        self.on_goaway(*frames.read_goaway(payload))

    def _window_update(self, _: int, stream_id: int, payload: bytes) -> None:
        increment = frames.read_number(payload) & frames.MAX_WINDOW
        if not stream_id:
            if not increment:
                raise Http2Error(frames.PROTOCOL_ERROR, "WINDOW_UPDATE of nothing")
            self.grant(None, increment)
            return
        stream = self.streams.get(stream_id)
        if stream is not None:
            self.grant(stream, increment)
        else:
            self._check_opened(stream_id)
            self._floods.noise()

    def _rst_stream(self, _: int, stream_id: int, payload: bytes) -> None:
        stream = self.streams.get(stream_id)
        if stream is None:
            self._check_opened(stream_id)
            self._floods.noise()
            return
        self._floods.reset()
        self.drop(stream, frames.read_number(payload))

    def _priority(self, _: int, __: int, ___: bytes) -> None:
        self._floods.noise()

    def _push_promise(self, _: int, __: int, ___: bytes) -> None:
        raise Http2Error(frames.PROTOCOL_ERROR, "PUSH_PROMISE, which is switched off")

    def _check_opened(self, stream_id: int) -> None:
        """A frame on a stream that is not open: an error if it never was."""
        if stream_id > self.last_id or not stream_id & 1:
            raise Http2Error(frames.PROTOCOL_ERROR, "a frame on a stream that was never opened")

    _HANDLERS: ClassVar[dict[int, Callable[[Any, int, int, bytes], None]]] = {
        frames.SETTINGS: _settings,
        frames.PING: _ping,
        frames.GOAWAY: _goaway,
        frames.WINDOW_UPDATE: _window_update,
        frames.RST_STREAM: _rst_stream,
        frames.PRIORITY: _priority,
        frames.PUSH_PROMISE: _push_promise,
    }
