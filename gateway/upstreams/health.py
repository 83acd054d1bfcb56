"""How one endpoint has been doing: pure state that is told the time, and says what changed.

Two sources. Calls tell of failures, and enough of them in a row leave the endpoint out for a while (ejection). Checks
tell whether it answers at all. A failure is a connection that could not be opened or that broke; what Triton answers,
also an error, is none, and neither is an answer that took too long: the checks find out whether that was the Triton.
"""

from __future__ import annotations

from enum import Enum

from gateway.backoff import Backoff
from gateway.core.call import Protocol

MAX_EJECT_SECONDS = 60.0
PENALTY = 5.0
"""A failure weighs like this many calls in flight..."""
MAX_PENALTY = 3 * PENALTY
"""...though many together no more than this..."""
HALF_LIFE_SECONDS = 2.0
"""...and half of it after this long."""


class Outcome(Enum):
    """What came of a check."""

    ANSWERED = "answers again"
    UNWELL = "answers that it cannot serve"  # it is starting or stopping, or a proxy speaks for one that is gone
    SILENT = "does not answer in time"
    UNREACHABLE = "cannot be reached"


class Health:
    """The health of one endpoint; before anything is known it is taken to be well.

    Args:
        eject_after: failures in a row after which it is left out.
        eject_seconds: for how long, the first time; doubled each time.

    Attributes:
        outcome: what the last check found.
        failures: failed calls in a row, of the protocol that has more: what answers over one may be dead over the
            other.
        ejected_until: until when it is left out (seconds of the clock that the methods are told), or None.
    """

    def __init__(self, eject_after: int, eject_seconds: float) -> None:
        self.outcome = Outcome.ANSWERED
        self.failures = 0
        self._rows = dict.fromkeys(Protocol, 0)
        self.ejected_until: float | None = None
        self._penalty = 0.0
        self._penalised_at = 0.0
        self._eject_after = eject_after
        self._ejections = Backoff(
            first=2 * eject_seconds,
            cap=max(MAX_EJECT_SECONDS, eject_seconds),
            stable=MAX_EJECT_SECONDS,
            soonest=eject_seconds,
        )

    @property
    def fit(self) -> bool:
        """Whether it should get requests."""
        return self.ejected_until is None and self.outcome is Outcome.ANSWERED

    @property
    def reachable(self) -> bool:
        """Whether, as far as is known, somebody is there, if only slow."""
        return self.outcome is not Outcome.UNREACHABLE

    def tune(self, eject_after: int, eject_seconds: float) -> None:
        """Go by other settings from now on; what is known stays."""
        self._eject_after = eject_after
        self._ejections.first = 2 * eject_seconds
        self._ejections.cap = max(MAX_EJECT_SECONDS, eject_seconds)
        self._ejections.soonest = eject_seconds

    def succeeded(self, protocol: Protocol) -> None:
        """A call was answered."""
        self._rows[protocol] = 0
        self.failures = max(self._rows.values())

    def failed(self, protocol: Protocol, now: float) -> float | None:
        """A call failed; gives for how many seconds to leave the endpoint out if this was one failure too many."""
        self._rows[protocol] += 1
        self.failures = max(self._rows.values())
        self._penalty = min(self.penalty(now) + PENALTY, MAX_PENALTY)
        self._penalised_at = now
        if self.ejected_until is not None or self.failures < self._eject_after:
            return None
        seconds = self._ejections.delay(now)
        self.ejected_until = now + seconds
        return seconds

    def returned(self) -> None:
        """The ejection is over. It is on trial: the next failure ejects it again, unless a success comes first."""
        self.ejected_until = None
        self._set_failures(self._eject_after - 1)

    def checked(self, outcome: Outcome) -> bool:
        """A check came to `outcome`; says whether that is news. One that answers again is not left out any more."""
        if outcome is self.outcome:
            return False
        self.outcome = outcome
        if outcome is Outcome.ANSWERED:
            self.ejected_until = None
            self._penalty = 0.0  # it has started anew
            self._set_failures(0)
        return True

    def penalty(self, now: float) -> float:
        """What past failures still weigh, in calls in flight."""
        if not self._penalty:
            return 0.0
        left: float = self._penalty * 0.5 ** ((now - self._penalised_at) / HALF_LIFE_SECONDS)
        if left < 0.5:  # less than a call hardly counts, and what is left out by it for long is never found well again
            self._penalty = left = 0.0
        return left

    def _set_failures(self, count: int) -> None:
        self._rows = dict.fromkeys(Protocol, count)
        self.failures = count
