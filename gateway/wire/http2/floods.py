"""Budgets against peers that make work without asking for anything: floods of control frames, and rapid resets.

What costs the peer nothing and us a little is counted within each second. The budgets are far above what gRPC
clients do, which send a ping or a window update for every few frames of data at most.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.wire.http2.frames import ENHANCE_YOUR_CALM, Http2Error

_NOISE_A_SECOND = 10_000
_RESETS_A_SECOND = 400


class Floods:
    """What one peer did in this second.

    Args:
        now: seconds of a monotonic clock.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._second = 0
        self._noise = 0
        self._resets = 0

    def noise(self) -> None:
        """A frame that asks for nothing.

        Raises:
            Http2Error: there were too many.
        """
        self._noise += 1
        if self._noise > _NOISE_A_SECOND and not self._is_new_second():
            raise Http2Error(ENHANCE_YOUR_CALM, "too many control frames")

    def reset(self) -> None:
        """A stream that was opened and given up at once.

        Raises:
            Http2Error: there were too many.
        """
        self._resets += 1
        if self._resets > _RESETS_A_SECOND and not self._is_new_second():
            raise Http2Error(ENHANCE_YOUR_CALM, "too many streams were reset")

    def _is_new_second(self) -> bool:
        second = int(self._now())
        if second == self._second:
            return False
        self._second = second
        self._noise = self._resets = 0
        return True
