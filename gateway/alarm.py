"""Many points in time, one timer of the event loop.

A timer for every request costs more than all the rest of its bookkeeping. Nearly none of them ever rings, so whoever
has a due time only writes it down, and all of them are looked at when the nearest one has come.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import Protocol

NEVER = math.inf
"""The due time of what waits for nothing."""


class Watched(Protocol):
    """Something that is told when its time has come.

    Attributes:
        due: when, on the monotonic clock; `NEVER` for not at all.
    """

    due: float

    def ring(self) -> None:
        """The time has come; sets a new `due`, or it rings again."""
        ...


class Alarm:
    """Rings what is due.

    To watch something, `add` it once; whenever its `due` is set to something that may be before `at`, call `expect`.

    Args:
        grain: seconds between two looks at everything, at least; how late something may ring.

    Attributes:
        at: when it looks next, on the monotonic clock.
    """

    def __init__(self, grain: float) -> None:
        self._grain = grain
        self._watched: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.at = NEVER

    def add(self, watched: Watched) -> None:
        """Watch it from now on."""
        self._watched.add(watched)

    def discard(self, watched: Watched) -> None:
        """Watch it no more."""
        self._watched.discard(watched)

    def expect(self, due: float) -> None:
        """Something is due then."""
        if due >= self.at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self.at = due
        self._timer = asyncio.get_running_loop().call_later(max(0.0, due - time.monotonic()), self._look)

    def close(self) -> None:
        """Ring nothing any more."""
        self._watched.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        now = time.monotonic()
        self._timer, self.at = None, NEVER
        for watched in [each for each in self._watched if each.due <= now]:
            watched.ring()
        nearest = min((each.due for each in self._watched), default=NEVER)
        if nearest < NEVER:
            self.expect(max(nearest, now + self._grain))
