"""Chunked transfer coding (RFC 9112, section 7.1), sans I/O.

Strict, because two servers that read one body differently are how requests are smuggled: sizes are plain hexadecimal
digits, and lines end with CRLF. Chunk extensions and trailers mean nothing here, and are bounded and dropped.
"""

from __future__ import annotations

import re

from gateway.core.errors import InvalidRequest

_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n\0]*)?\r\n")
_MAX_LINE = 4096  # bytes of one size line with its extensions, or of one trailer
_MAX_TRAILERS = 64


class ChunkedBody:
    """One body on its way in.

    Attributes:
        data: what has been decoded; take it away at any time by putting another bytearray in its place.
        done: whether the body is complete.
    """

    __slots__ = ("_left", "_line", "_read_line", "_trailers", "data", "done")

    def __init__(self) -> None:
        self.data = bytearray()
        self.done = False
        self._left = 0  # bytes of the current chunk that are still to come
        self._line = b""  # a line that has not ended yet
        self._read_line = self._size
        self._trailers = 0

    def feed(self, received: bytes) -> int:
        """Decode what came; gives how many bytes of it belong to this body, fewer than all only when it is done.

        Raises:
            InvalidRequest: it is not chunked coding.
        """
        at, end = 0, len(received)
        while at < end and not self.done:
            if self._left:
                stop = min(at + self._left, end)
                self.data += memoryview(received)[at:stop]
                self._left -= stop - at
                at = stop
                continue
            newline = received.find(b"\n", at)
            stop = end if newline < 0 else newline + 1
            line = self._line + received[at:stop]
            if len(line) > _MAX_LINE:
                raise InvalidRequest("a chunk of the body has a size line that is too long")
            at = stop
            if newline < 0:
                self._line = line
            else:
                self._line = b""
                self._read_line(line)
        return at

    def _size(self, line: bytes) -> None:
        match = _SIZE.fullmatch(line)
        if match is None:
            raise InvalidRequest("a chunk of the body does not begin with its size in hexadecimal digits")
        self._left = int(match[1], 16)
        self._read_line = self._end_of_chunk if self._left else self._trailer

    def _end_of_chunk(self, line: bytes) -> None:
        if line != b"\r\n":
            raise InvalidRequest("a chunk of the body is longer than its size says")
        self._read_line = self._size

    def _trailer(self, line: bytes) -> None:
        if line == b"\r\n":
            self.done = True
            return
        self._trailers += 1
        if self._trailers > _MAX_TRAILERS or not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise InvalidRequest("the trailers of the body cannot be read")
