"""One stream: its two windows, and the gRPC messages that come in on it.

A message is a flag, a length and that many bytes, cut into DATA frames at the sender's liking. One that lies in one
piece, as small ones do, is copied out at once. A longer one gets its memory at once, which costs address space until
bytes are written to it; what counts as held grows with what has come, so that a length alone costs little.
"""

from __future__ import annotations

import struct
from collections import deque

from gateway.core.call import Body
from gateway.core.errors import RequestTooLarge
from gateway.memory import uninitialised
from gateway.wire.http2.frames import DEFAULT_WINDOW

PREFIX = struct.Struct("!BL")
"""What precedes a gRPC message: whether it is compressed, and its length."""

WINDOW = 2**20
"""Bytes that a peer may send on a stream before they are read, beside the message that is being read."""

_FIRST_COUNT = 2**18  # bytes of a long message that count as held when it begins
_GROWTH = 8


class Outgoing:
    """One message on its way out, with what goes before and after it.

    Args:
        prefix: the five bytes of gRPC.
        message: the message, of which frames are slices.
        after: whole frames that follow the message.
        end: whether the last DATA frame ends the stream.
    """

    __slots__ = ("after", "end", "message", "offset", "prefix")

    def __init__(self, prefix: bytes, message: Body, after: bytes, end: bool) -> None:
        self.prefix = prefix
        self.message = memoryview(message)
        self.after = after
        self.end = end
        self.offset = 0


class Stream:
    """What both roles know of a stream; a role's own kinds of streams say what its events mean.

    Args:
        stream_id: its number.
        send_window: bytes that the peer takes.
        max_message: bytes of the largest message that is taken.
    """

    __slots__ = (
        "buffer",
        "counted",
        "filled",
        "held",
        "id",
        "max_message",
        "missing",
        "outgoing",
        "prefix",
        "queued",
        "receive_window",
        "remote_ended",
        "send_window",
    )

    def __init__(self, stream_id: int, send_window: int = DEFAULT_WINDOW, max_message: int = 2**32) -> None:
        self.id = stream_id
        self.send_window = send_window
        self.receive_window = WINDOW
        self.max_message = max_message
        self.held = 0  # bytes of messages that came and nobody took yet
        self.missing = 0  # bytes of the message that is being received
        self.filled = 0
        self.counted = 0  # bytes of it that are reserved
        self.buffer: bytearray | None = None
        self.prefix = b""
        self.outgoing: deque[Outgoing] | None = None
        self.queued = False  # whether the sender has it in its round
        self.remote_ended = False

    # Events, for the roles

    def on_message(self, message: Body, compressed: bool) -> None:
        """A whole message has come."""
        raise NotImplementedError

    def on_end(self) -> None:
        """The peer has said all; `incomplete` tells whether in the middle of a message."""
        raise NotImplementedError

    def on_sent(self) -> None:
        """All that waited to be sent is sent."""

    def on_reset(self, code: int) -> None:
        """The stream is over before its time; it is forgotten already."""
        raise NotImplementedError

    def reserve(self, size: int) -> None:
        """Make room for `size` more bytes; may raise to refuse them."""

    # What came

    @property
    def incomplete(self) -> bool:
        """Whether a message has begun and not ended."""
        return self.buffer is not None or bool(self.prefix)

    def feed(self, piece: memoryview) -> None:
        """Take a piece of the stream.

        Raises:
            RequestTooLarge: a message is larger than `max_message`.
        """
        if self.buffer is None and not self.prefix and len(piece) >= PREFIX.size:
            compressed, length = PREFIX.unpack_from(piece)
            if length == len(piece) - PREFIX.size:
                self._admit(length)
                self.reserve(length)
                self.on_message(bytes(piece[PREFIX.size :]), compressed)
                return
        while piece:
            piece = self._fill(piece) if self.buffer is not None else self._begin(piece)

    def direct(self) -> memoryview | None:
        """Where the next bytes of a long message can be received in place, if they can."""
        if self.buffer is None or self.missing < _FIRST_COUNT:
            return None
        if self.counted == self.filled:
            self._count_more()
        return memoryview(self.buffer)[self.filled : self.counted]

    def received(self, size: int) -> None:
        """`size` bytes were written to what `direct` gave."""
        self.filled += size
        self.missing -= size
        if not self.missing:
            message, compressed = self.buffer, self.prefix[:1] != b"\0"
            self.buffer, self.prefix = None, b""
            if message is not None:
                self.on_message(message, compressed)

    def _begin(self, piece: memoryview) -> memoryview:
        """Read what is there of the next message's prefix."""
        wanted = PREFIX.size - len(self.prefix)
        self.prefix += piece[:wanted]
        if len(self.prefix) == PREFIX.size:
            compressed, length = PREFIX.unpack(self.prefix)
            self._admit(length)
            if length:
                size = min(length, max(_FIRST_COUNT, len(piece)))
                self.reserve(size)
                self.buffer, self.counted, self.filled, self.missing = uninitialised(length), size, 0, length
            else:
                self.prefix = b""
                self.on_message(b"", compressed)
        return piece[wanted:]

    def _fill(self, piece: memoryview) -> memoryview:
        """Add to the message that has begun."""
        assert self.buffer is not None  # noqa: S101 - for the type checker
        size = min(len(piece), self.missing)
        while self.counted < self.filled + size:
            self._count_more()
        memoryview(self.buffer)[self.filled : self.filled + size] = piece[:size]  # a bytearray would copy it twice
        self.received(size)
        return piece[size:]

    def _count_more(self) -> None:
        size = min(self.filled + self.missing, _GROWTH * self.counted)
        self.reserve(size - self.counted)
        self.counted = size

    def _admit(self, length: int) -> None:
        if length > self.max_message:
            raise RequestTooLarge(
                f"the message of {length} bytes exceeds the maximum of {self.max_message} bytes; "
                "send less at a time, or have grpc.max_message_bytes raised"
            )
