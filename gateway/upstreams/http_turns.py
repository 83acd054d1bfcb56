"""Whose turn it is to receive a large answer: few at a time, or all of them would be in memory before any is passed on.

What is not received yet waits in Triton, which has an answer whole before it sends the first byte. So nobody waits here
for a model's work, nor for a slow client: a turn ends when the answer is here, whoever reads it.
"""

from __future__ import annotations

from typing import Protocol


class Receiver(Protocol):
    """Somebody with a large answer to receive."""

    def begin(self, size: int) -> None:
        """The turn has come that was waited for, to receive `size` bytes."""
        ...


class Turns:
    """The turns of one Triton's answers, in the order they are asked for.

    Args:
        max_bytes: there is a turn while answers of fewer bytes than this are being received.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._receiving: dict[Receiver, int] = {}
        self._waiting: dict[Receiver, int] = {}

    def take(self, receiver: Receiver, size: int) -> bool:
        """Whether it is `receiver`'s turn to receive `size` bytes at once; else it is told later to `begin`."""
        if self._bytes >= self._max_bytes:
            self._waiting[receiver] = size
            return False
        self._receiving[receiver] = size
        self._bytes += size
        return True

    def give(self, receiver: Receiver) -> None:
        """The answer is received, or given up even before its turn. Harmless for who had none."""
        self._waiting.pop(receiver, None)
        self._bytes -= self._receiving.pop(receiver, 0)
        while self._waiting and self._bytes < self._max_bytes:
            following = next(iter(self._waiting))
            size = self._waiting.pop(following)
            self.take(following, size)
            following.begin(size)
