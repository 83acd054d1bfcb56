"""Whether a call that failed is sent again: only where that is safe, and not so often that an outage gets worse."""

from __future__ import annotations

from gateway.core.call import Call, Operation
from gateway.core.errors import UpstreamBroken, UpstreamError, UpstreamUnavailable

MAX_RETRIES = 2
"""Of one call."""

WINDOW_SECONDS = 5.0
"""The budget looks back over a window of this length and the one before it."""

MIN_RETRIES = 3
"""There is room for so many in any case: a share of hardly any requests is none."""

_READ_ONLY = frozenset(
    {
        Operation.MODEL_METADATA,
        Operation.MODEL_CONFIG,
        Operation.MODEL_READY,
        Operation.MODEL_STATISTICS,
        Operation.SERVER_METADATA,
        Operation.SERVER_LIVE,
        Operation.SERVER_READY,
        Operation.REPOSITORY_INDEX,
    }
)


def is_safe(call: Call, error: UpstreamError, retry_sent_inference: bool) -> bool:
    """Whether `call` may be sent again after `error`: it allows that, and nothing can be done twice.

    Args:
        call: what was asked; it may say that it is not to be sent again.
        error: what came of it.
        retry_sent_inference: whether an inference outside of sequences may be executed twice.
    """
    if not call.retry:
        return False
    if isinstance(error, UpstreamUnavailable):
        return True
    if not isinstance(error, UpstreamBroken):
        return False
    if call.operation is Operation.INFER or call.operation is Operation.GENERATE:
        return retry_sent_inference and call.sequence is None
    return call.operation in _READ_ONLY


class RetryBudget:
    """At most so many retries for so many requests of the last seconds.

    It holds no clock: the caller says what time it is.

    Args:
        percent: most retries in percent of the requests; 0 for none at all.
    """

    def __init__(self, percent: int) -> None:
        self.percent = percent
        self._ends = 0.0
        self._requests = self._requests_before = 0
        self._retries = self._retries_before = 0

    def request(self, now: float) -> None:
        """One request came in."""
        if now >= self._ends:
            self._turn(now)
        self._requests += 1

    def take(self, now: float) -> bool:
        """Whether there is room for one more retry, which is then taken."""
        if now >= self._ends:
            self._turn(now)
        retries = self._retries + self._retries_before + 1
        requests = self._requests + self._requests_before
        if not self.percent or (retries > MIN_RETRIES and 100 * retries > self.percent * requests):
            return False
        self._retries += 1
        return True

    def _turn(self, now: float) -> None:
        recent = now < self._ends + WINDOW_SECONDS
        self._requests_before = self._requests if recent else 0
        self._retries_before = self._retries if recent else 0
        self._requests = self._retries = 0
        self._ends = now + WINDOW_SECONDS
