"""HTTP/2's frames: their numbers, how each is written, and the two kinds of errors that reading them ends in.

Source: RFC 9113, sections 4, 6 and 7.
"""

from __future__ import annotations

import struct

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITIZED = 0x20

(
    NO_ERROR,
    PROTOCOL_ERROR,
    INTERNAL_ERROR,
    FLOW_CONTROL_ERROR,
    SETTINGS_TIMEOUT,
    STREAM_CLOSED,
    FRAME_SIZE_ERROR,
    REFUSED_STREAM,
    CANCEL,
    COMPRESSION_ERROR,
    CONNECT_ERROR,
    ENHANCE_YOUR_CALM,
    INADEQUATE_SECURITY,
    HTTP_1_1_REQUIRED,
) = range(14)

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = (
    range(1, 7)
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_SIZE = 9
DEFAULT_WINDOW = 65_535
DEFAULT_FRAME_SIZE = 16_384
MAX_WINDOW = 2**31 - 1

HEAD = struct.Struct("!BHBBL")
"""A frame's head: length (8 high bits, 16 low bits), type, flags, stream."""

_SETTING = struct.Struct("!HL")
_NUMBER = struct.Struct("!L")
_TWO_NUMBERS = struct.Struct("!LL")


class Http2Error(Exception):
    """The peer broke the protocol so that the whole connection ends.

    Args:
        code: HTTP/2's error code.
        message: what was wrong, for the log and for GOAWAY.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class StreamError(Http2Error):
    """The peer broke the protocol in one stream, and only that one ends."""


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """One whole frame."""
    size = len(payload)
    return HEAD.pack(size >> 16, size & 0xFFFF, kind, flags, stream_id) + payload


def settings(values: dict[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join([_SETTING.pack(*pair) for pair in values.items()]))


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """What a SETTINGS frame says, in its order.

    Raises:
        Http2Error: its length is not a multiple of six, or a value is out of its range.
    """
    if len(payload) % _SETTING.size:
        raise Http2Error(FRAME_SIZE_ERROR, "SETTINGS has a wrong length")
    pairs: list[tuple[int, int]] = list(_SETTING.iter_unpack(payload))
    for name, value in pairs:
        if name == ENABLE_PUSH and value > 1:
            raise Http2Error(PROTOCOL_ERROR, "SETTINGS_ENABLE_PUSH is neither 0 nor 1")
        if name == INITIAL_WINDOW_SIZE and value > MAX_WINDOW:
            raise Http2Error(FLOW_CONTROL_ERROR, "SETTINGS_INITIAL_WINDOW_SIZE is too large")
        if name == MAX_FRAME_SIZE and not DEFAULT_FRAME_SIZE <= value < 2**24:
            raise Http2Error(PROTOCOL_ERROR, "SETTINGS_MAX_FRAME_SIZE is out of its range")
    return pairs


SETTINGS_ACK = frame(SETTINGS, ACK, 0)


def rst_stream(stream_id: int, code: int) -> bytes:
    """A RST_STREAM frame."""
    return frame(RST_STREAM, 0, stream_id, _NUMBER.pack(code))


def window_update(stream_id: int, increment: int) -> bytes:
    """A WINDOW_UPDATE frame."""
    return frame(WINDOW_UPDATE, 0, stream_id, _NUMBER.pack(increment))


def goaway(last_stream_id: int, code: int, message: str = "") -> bytes:
    """A GOAWAY frame."""
    return frame(GOAWAY, 0, 0, _TWO_NUMBERS.pack(last_stream_id, code) + message.encode())


def read_number(payload: bytes) -> int:
    """The one number of RST_STREAM and WINDOW_UPDATE.

    Raises:
        Http2Error: there is more or less than that.
    """
    if len(payload) != _NUMBER.size:
        raise Http2Error(FRAME_SIZE_ERROR, "RST_STREAM or WINDOW_UPDATE has a wrong length")
    number: int = _NUMBER.unpack(payload)[0]
    return number


def read_goaway(payload: bytes) -> tuple[int, int]:
    """The last stream that the peer serves, and its error code.

    Raises:
        Http2Error: it is too short.
    """
    if len(payload) < _TWO_NUMBERS.size:
        raise Http2Error(FRAME_SIZE_ERROR, "GOAWAY is too short")
    last, code = _TWO_NUMBERS.unpack_from(payload)
    return last & MAX_WINDOW, code


def unpadded(flags: int, payload: bytes) -> bytes:
    """A frame's payload without its padding and its priority, which nobody uses any more.

    Raises:
        Http2Error: there is more padding than payload.
    """
    start, end = 0, len(payload)
    if flags & PADDED:
        if not end:
            raise Http2Error(FRAME_SIZE_ERROR, "a padded frame is empty")
        start, end = 1, end - payload[0]
    if flags & PRIORITIZED:
        start += 5
    if start > end:
        raise Http2Error(PROTOCOL_ERROR, "a frame has more padding than payload")
    return payload[start:end]
