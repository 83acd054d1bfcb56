"""What leaves a connection: messages cut into frames as the peer's windows allow, one frame a stream in turn.

What fits is written at once, and a small reply in one piece with its headers and trailers. What does not fit waits as
a reference to its message: nothing is copied, and nothing is handed to a socket that does not take it.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterable

from gateway.core.call import Body
from gateway.wire.http2 import frames
from gateway.wire.http2.stream import PREFIX, Outgoing, Stream

_SMALL = 32_768  # bytes up to which copying is cheaper than a further piece
_BATCH = 2**20  # bytes that are given to the socket before asking whether it takes more
_DATA_AND_PREFIX = struct.Struct("!BHBBLBL")


def header_frames(stream_id: int, block: bytes, end_stream: bool, max_frame: int = frames.DEFAULT_FRAME_SIZE) -> bytes:
    """HEADERS, and as many CONTINUATIONs as the peer's frame size makes necessary."""
    flags = frames.END_STREAM if end_stream else 0
    if len(block) <= max_frame:
        return frames.HEAD.pack(0, len(block), frames.HEADERS, flags | frames.END_HEADERS, stream_id) + block
    parts = [block[start : start + max_frame] for start in range(0, len(block), max_frame)]
    out = [frames.frame(frames.HEADERS, flags, stream_id, parts[0])]
    out += [frames.frame(frames.CONTINUATION, 0, stream_id, part) for part in parts[1:-1]]
    out.append(frames.frame(frames.CONTINUATION, frames.END_HEADERS, stream_id, parts[-1]))
    return b"".join(out)


class Sender:
    """The sending half of a connection.

    Attributes:
        write: takes bytes for the socket.
        writelines: takes several pieces for the socket.
        paused: whether the socket has more than it can send; `resume` it after clearing this.
    """

    write: Callable[[bytes], object]
    writelines: Callable[[Iterable[bytes | bytearray | memoryview]], object]

    def __init__(self) -> None:
        self.paused = False
        self.send_window = frames.DEFAULT_WINDOW
        self.peer_window = frames.DEFAULT_WINDOW
        self.peer_frame = frames.DEFAULT_FRAME_SIZE
        self._round: deque[Stream] = deque()

    @property
    def congested(self) -> bool:
        """Whether messages wait for the peer."""
        return self.paused or bool(self._round) or self.send_window <= 0

    def send(self, stream: Stream, before: bytes, message: Body, after: bytes = b"", end: bool = False) -> bool:
        """Send a message, now or as soon as the peer takes it.

        Args:
            stream: where.
            before: whole frames that go first.
            message: the bytes of a gRPC message, which nobody changes any more.
            after: whole frames that follow.
            end: whether this ends the stream without further frames.

        Returns:
            whether all of it is sent; otherwise `stream.on_sent` will say so.
        """
        length = len(message)
        size = length + PREFIX.size
        if (
            size <= stream.send_window
            and size <= self.send_window
            and size <= self.peer_frame
            and not stream.outgoing
            and not self.paused
        ):
            stream.send_window -= size
            self.send_window -= size
            head = _DATA_AND_PREFIX.pack(size >> 16, size & 0xFFFF, frames.DATA, end, stream.id, 0, length)
            if length <= _SMALL:
                self.write(b"".join((before, head, message, after)))
            else:
                self.writelines((before + head, message, after) if after else (before + head, message))
            return True
        if before:
            self.write(before)
        if stream.outgoing is None:
            stream.outgoing = deque()
        stream.outgoing.append(Outgoing(PREFIX.pack(0, length), message, after, end))
        self._enlist(stream)
        self.pump()
        return not stream.outgoing

    def pump(self) -> None:
        """Send what the windows and the socket allow."""
        streams = self._round
        while streams and self.send_window > 0 and not self.paused:
            pieces: list[bytes | memoryview] = []
            done: list[Stream] = []
            room = _BATCH
            while streams and self.send_window > 0 and room > 0:
                stream = streams.popleft()
                stream.queued = False
                room -= self._one_frame(stream, pieces)
                if not stream.outgoing:
                    done.append(stream)
                else:
                    self._enlist(stream)
            if pieces:
                self.writelines(pieces)
            for stream in done:
                stream.on_sent()

    def forget(self, stream: Stream) -> None:
        """Send nothing more on `stream`."""
        stream.outgoing = None
        if stream.queued:
            self._round.remove(stream)
            stream.queued = False

    def _enlist(self, stream: Stream) -> None:
        if stream.outgoing and not stream.queued and stream.send_window > 0:
            stream.queued = True
            self._round.append(stream)

    def _one_frame(self, stream: Stream, pieces: list[bytes | memoryview]) -> int:
        """Add the next DATA frame of `stream` to `pieces`; gives the frame's length in bytes."""
        assert stream.outgoing  # noqa: S101 - for the type checker
        out = stream.outgoing[0]
        allowed = min(self.peer_frame, stream.send_window, self.send_window)
        if allowed <= 0:  # the peer made its windows smaller
            return 0
        prefix = out.prefix[:allowed]
        out.prefix = out.prefix[allowed:]
        stop = out.offset + allowed - len(prefix)
        part = out.message[out.offset : stop]
        out.offset += len(part)
        size = len(prefix) + len(part)
        stream.send_window -= size
        self.send_window -= size
        last = not out.prefix and out.offset == len(out.message)
        flags = frames.END_STREAM if last and out.end else 0
        pieces.append(frames.HEAD.pack(size >> 16, size & 0xFFFF, frames.DATA, flags, stream.id) + prefix)
        if part:
            pieces.append(part)
        if last:
            stream.outgoing.popleft()
            if out.after:
                pieces.append(out.after)
        return size

    # What the peer says of its windows

    def grant(self, stream: Stream | None, increment: int) -> None:
        """The peer takes `increment` bytes more, on a stream or on the connection.

        Raises:
            Http2Error: it said so too often, or said zero.
        """
        if not increment:
            raise frames.StreamError(frames.PROTOCOL_ERROR, "WINDOW_UPDATE of nothing")
        if stream is None:
            self.send_window += increment
            if self.send_window > frames.MAX_WINDOW:
                raise frames.Http2Error(frames.FLOW_CONTROL_ERROR, "the connection's window is too large")
        else:
            stream.send_window += increment
            if stream.send_window > frames.MAX_WINDOW:
                raise frames.StreamError(frames.FLOW_CONTROL_ERROR, "a stream's window is too large")
            self._enlist(stream)
        if self._round:
            self.pump()

    def change_window(self, streams: Iterable[Stream], initial: int) -> None:
        """The peer changed what every stream begins with; `pump` when it has been told that this is known."""
        change = initial - self.peer_window
        self.peer_window = initial
        for stream in streams:
            stream.send_window += change
            if stream.send_window > frames.MAX_WINDOW:
                raise frames.Http2Error(frames.FLOW_CONTROL_ERROR, "a stream's window is too large")
            self._enlist(stream)
