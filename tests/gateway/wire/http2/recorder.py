"""A connection without a socket, for the tests of what it makes of bytes and when it writes which."""

from collections.abc import Iterable

from gateway.core.call import Body
from gateway.core.errors import GatewayError
from gateway.wire.http2 import frames
from gateway.wire.http2.connection import Connection
from gateway.wire.http2.stream import Stream


class RecordedStream(Stream):
    """Writes down what happens to it."""

    def __init__(self, stream_id: int, send_window: int = frames.DEFAULT_WINDOW, max_message: int = 2**32) -> None:
        super().__init__(stream_id, send_window, max_message)
        self.events: list[object] = []
        self.reserved = 0

    def on_message(self, message: Body, compressed: bool) -> None:
        self.events.append(bytes(message) if not compressed else ("compressed", bytes(message)))

    def on_end(self) -> None:
        self.events.append("incomplete" if self.incomplete else "end")

    def on_sent(self) -> None:
        self.events.append("sent")

    def on_reset(self, code: int) -> None:
        self.events.append(("reset", code))

    def reserve(self, size: int) -> None:
        self.reserved += size


class RecordedConnection(Connection[RecordedStream]):
    """Writes down what it says and hears, with a clock that stands still."""

    def __init__(self, max_header_bytes: int = 4096) -> None:
        super().__init__(max_header_bytes, lambda: 0.0)
        self.out = bytearray()
        self.write = self.out.extend
        self.events: list[object] = []

    def writelines(self, pieces: Iterable[bytes | bytearray | memoryview]) -> None:
        for piece in pieces:
            self.out += piece

    def open(self, stream_id: int, send_window: int = frames.DEFAULT_WINDOW) -> RecordedStream:
        stream = RecordedStream(stream_id, send_window)
        self.last_id = max(self.last_id, stream_id)
        self.streams[stream_id] = stream
        return stream

    def hear(self, kind: int, flags: int = 0, stream_id: int = 0, payload: bytes = b"") -> None:
        self.receive(memoryview(frames.frame(kind, flags, stream_id, payload)))

    def said(self) -> list[tuple[int, int, int, bytes]]:
        """The frames written since the last time."""
        found, position = [], 0
        while position < len(self.out):
            high, low, kind, flags, stream_id = frames.HEAD.unpack_from(self.out, position)
            position += frames.HEAD_SIZE
            length = high << 16 | low
            found.append((kind, flags, stream_id, bytes(self.out[position : position + length])))
            position += length
        self.out.clear()
        return found

    def on_headers(self, stream_id: int, block: bytes, end_stream: bool) -> None:
        self.events.append((stream_id, block, end_stream))

    def on_refused(self, stream: RecordedStream, error: GatewayError) -> None:
        self.events.append((stream.id, error.message))

    def on_goaway(self, last_id: int, code: int) -> None:
        self.events.append(("goaway", last_id, code))

    def on_settled(self) -> None:
        self.events.append("settled")

    def on_pong(self) -> None:
        self.events.append("pong")
