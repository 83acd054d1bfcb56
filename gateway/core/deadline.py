"""One monotonic budget a request, checked by everything that waits on its behalf."""

from __future__ import annotations

import time

from msgspec import Struct


class Deadline(Struct, frozen=True, order=True, gc=False):
    """A point on the monotonic clock after which nobody waits for the answer any more."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The deadline `seconds` from now."""
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self.at - time.monotonic())

    @property
    def expired(self) -> bool:
        """Whether no time is left."""
        return self.at <= time.monotonic()
