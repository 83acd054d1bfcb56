"""When to try again: at once or soon the first time, then later and later, until things stay well for a while."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Exponential back-off that forgets after a stable time. It holds no clock: the caller says what time it is.

    Attributes:
        first: seconds before the second try.
        cap: most seconds before any try.
        stable: a try that lasted this many seconds counts as well again.
        soonest: seconds before the first try.
    """

    first: float = 1.0
    cap: float = 30.0
    stable: float = 60.0
    soonest: float = 0.0
    _failures: int = field(default=0, init=False)
    _last: float | None = field(default=None, init=False)

    def delay(self, now: float) -> float:
        """Seconds to wait before the next try, given a failure at `now` (seconds on a monotonic clock)."""
        if self._last is not None and now - self._last >= self.stable:
            self._failures = 0
        wait = self.soonest if self._failures == 0 else min(self.cap, self.first * 2 ** (self._failures - 1))
        self._failures += 1
        self._last = now + wait
        return wait
