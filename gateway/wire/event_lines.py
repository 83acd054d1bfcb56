"""Server-sent events, whatever the pieces they arrive in: each line of data is changed as soon as it is complete.

An event of Triton's is one line, `data: ` and JSON, and an empty line. Nothing is held back but the beginning of a line
whose end has not come.

Source: the HTML standard's "Server-sent events".
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.core.call import Body
from gateway.core.errors import UpstreamBroken

MAX_LINE = 16 * 2**20
"""Most bytes of a line that are held."""

_DATA = b"data:"


class EventLines:
    """One stream of events.

    Args:
        change: makes another text of an event's JSON.
    """

    def __init__(self, change: Callable[[bytes], bytes]) -> None:
        self._change = change
        self._begun = bytearray()  # of a line

    def feed(self, piece: Body) -> bytes:
        """Take what has come; gives what can be passed on.

        Raises:
            UpstreamBroken: a line is longer than `MAX_LINE`, or `change` cannot read it.
        """
        end = piece.rfind(b"\n") + 1
        if not end:
            self._hold(piece)
            return b""
        complete = bytes(self._begun) + piece[:end]
        self._begun.clear()
        self._hold(piece[end:])
        return b"".join([self._line(line) for line in complete.splitlines(keepends=True)])

    def rest(self) -> bytes:
        """What is left at the end of the stream: nothing, unless it ended in the middle of a line."""
        left = bytes(self._begun)
        self._begun.clear()
        return self._line(left)

    def _line(self, line: bytes) -> bytes:
        if not line.startswith(_DATA):
            return line
        text = line[len(_DATA) :].strip()
        if not text:
            return line
        start = line.index(text, len(_DATA))
        return b"".join((line[:start], self._change(text), line[start + len(text) :]))

    def _hold(self, piece: Body) -> None:
        self._begun += piece
        if len(self._begun) > MAX_LINE:
            raise UpstreamBroken(
                f"an event of Triton's stream has more than {MAX_LINE} bytes; have the model send less at once"
            )
