"""One write to the socket for all that a connection says in one turn of the event loop.

A system call costs more than framing a small message does, and the answers to what was read in one turn tend to be
ready in the same turn too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol


class Transport(Protocol):
    """What takes the bytes in the end."""

    def write(self, data: bytes, /) -> object:
        """Send bytes."""
        ...

    def writelines(self, pieces: Iterable[bytes | bytearray | memoryview], /) -> object:
        """Send several pieces."""
        ...


class Outbox:
    """What is to be written to one socket.

    Args:
        transport: the socket.
        soon: has a function called when this turn of the event loop is over.

    Attributes:
        alone: whether nothing else is to be expected in this turn, so that waiting for its end gains nothing.
    """

    __slots__ = ("_pieces", "_soon", "_transport", "alone")

    def __init__(self, transport: Transport, soon: Callable[[Callable[[], object]], object]) -> None:
        self._transport: Transport | None = transport
        self._soon = soon
        self._pieces: list[bytes] = []
        self.alone = False

    def write(self, data: bytes) -> None:
        """Say `data` with the rest of this turn."""
        if not self._pieces:
            if self.alone and self._transport is not None:
                self._transport.write(data)
                return
            self._soon(self.flush)
        self._pieces.append(data)

    def writelines(self, pieces: Iterable[bytes | bytearray | memoryview]) -> None:
        """Say what is too large for copying, at once: the socket tells then whether it takes more."""
        if self._transport is not None:
            self._transport.writelines([*self._pieces, *pieces])
            self._pieces.clear()

    def flush(self) -> None:
        """Say now what has been collected."""
        if self._pieces and self._transport is not None:
            self._transport.write(self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces))
            self._pieces.clear()

    def close(self) -> None:
        """Nobody listens any more."""
        self._transport = None
        self._pieces.clear()
