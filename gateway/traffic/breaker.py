"""Whether something that nobody depends on is worth asking: after some failures in a row hardly any more."""

from __future__ import annotations

FAILURES = 5
"""So many in a row open it."""

FIRST_SECONDS = 1.0
MOST_SECONDS = 30.0


class Breaker:
    """A circuit breaker: closed, all may go; open, nothing for a while, and then one probe that decides.

    It opens after `FAILURES` failures in a row, for `FIRST_SECONDS`; a probe that fails doubles that, up to
    `MOST_SECONDS`; anything that succeeds closes it. Whoever was admitted says once what came of it: `succeeded`,
    `failed` or `abandoned`. It holds no clock: the caller says what time it is, in seconds on a monotonic clock.
    """

    __slots__ = ("_failures", "_pause", "_probing", "_until")

    def __init__(self) -> None:
        self._failures = 0
        self._pause = 0.0  # seconds; not 0 while it is open
        self._until = 0.0
        self._probing = False

    @property
    def open(self) -> bool:
        """Whether next to nothing may go."""
        return self._pause > 0

    def admits(self, now: float) -> bool:
        """Whether one more may go; of an open one whose pause is over, that is the probe."""
        if not self._pause:
            return True
        if self._probing or now < self._until:
            return False
        self._probing = True
        return True

    def succeeded(self) -> bool:
        """It answered; says whether that closed it."""
        opened = self._pause > 0
        self._failures, self._pause, self._probing = 0, 0.0, False
        return opened

    def failed(self, now: float) -> bool:
        """It did not answer; says whether that opened it."""
        if self._pause:
            if self._probing:  # the others were sent before it opened, and tell nothing new
                self._probing = False
                self._open(now, min(MOST_SECONDS, 2 * self._pause))
            return False
        self._failures += 1
        if self._failures < FAILURES:
            return False
        self._open(now, FIRST_SECONDS)
        return True

    def abandoned(self) -> None:
        """Nobody knows what would have come of it."""
        self._probing = False

    def _open(self, now: float, pause: float) -> None:
        self._pause, self._until = pause, now + pause
