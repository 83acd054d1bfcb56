"""What came of a replay: counted as it goes, told at its end."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.replay.judge import Outcome
from gateway.tap.compare import Difference
from gateway.tap.exchange import Answer, Exchange
from gateway.tap.recording.segment import Recorded
from gateway.tap.report.model import Report
from gateway.tap.tally import Tally
from gateway.traffic.latency import bin_of, percentile

_PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_MOST_FAILURES = 20
_MOST_OF_A_FAILURE = 200
_OTHERS = "others"


class Results:
    """The figures of one replay.

    Args:
        report: where comparisons are counted; an empty one.
        several: whether the log holds requests for several models, so that outputs have to be told apart by these.

    Attributes:
        report: the comparisons.
        sent: how many requests were sent.
        failures: how often the target failed, by what it said.
        not_compared: requests without an answer that theirs could be held against.
        redacted: requests whose input is not what the client sent.
        without_parameters: requests whose parameters were left out.
        latency: of answers that are no errors, by side, in bins of `gateway/traffic/latency.py`.
    """

    def __init__(self, report: Report, several: bool = False) -> None:
        self.report = report
        self.sent = self.not_compared = self.redacted = self.without_parameters = 0
        self.failures: dict[str, int] = {}
        self.latency: dict[str, dict[int, int]] = {"baseline": {}, "candidate": {}}
        self._tally, self._several = Tally(report), several

    @property
    def failed(self) -> int:
        """How many requests the target failed."""
        return sum(self.failures.values())

    @property
    def agreement(self) -> float | None:
        """Percent of the compared answers that agree; None if nothing was compared."""
        share = self.report.counts.agreement
        return None if share is None else 100 * share

    def add(self, request: Recorded, got: Outcome, expected: Outcome | None, difference: Difference | None) -> None:
        """Count one request.

        Args:
            request: what was sent.
            got: what the target answered.
            expected: what it is held against, if there is something.
            difference: what came of that.
        """
        self.sent += 1
        self.redacted += any(each.startswith("in/") for each in request.redacted)
        self.without_parameters += "parameters" in request.redacted
        self._time("candidate", got)
        if got.failure:
            what = got.failure[:_MOST_OF_A_FAILURE]
            if what not in self.failures and len(self.failures) >= _MOST_FAILURES:
                what = _OTHERS
            self.failures[what] = self.failures.get(what, 0) + 1
        if expected is None or difference is None:
            self.not_compared += 1
            return
        self._time("baseline", expected)
        if self._several:
            outputs = {f"{request.model}/{name}": each for name, each in difference.outputs.items()}
            difference = msgspec.structs.replace(difference, outputs=outputs)
        self._tally.add(_exchange(request, expected, got), difference)

    def as_dict(self) -> dict[str, Any]:
        """All figures, for programs."""
        counts = self.report.counts
        return {
            "sent": self.sent,
            "failed": self.failed,
            "failures": self.failures,
            "agreement_percent": self.agreement,
            "agreed": counts.agreed,
            "differed": counts.differed,
            "unreadable": counts.unreadable,
            "not_compared": self.not_compared,
            "redacted": self.redacted,
            "without_parameters": self.without_parameters,
            "latency_seconds": {side: self.percentiles(side) for side in self.latency},
        }

    def percentiles(self, side: str) -> dict[str, float] | None:
        """The latencies of a side ("baseline" or "candidate") in seconds; None if it has none."""
        histogram = self.latency[side]
        return {name: percentile(histogram, share) for name, share in _PERCENTILES.items()} if histogram else None

    def _time(self, side: str, outcome: Outcome) -> None:
        if outcome.seconds is not None and not outcome.failure:
            histogram, number = self.latency[side], bin_of(outcome.seconds)
            histogram[number] = histogram.get(number, 0) + 1


def _exchange(request: Recorded, expected: Outcome, got: Outcome) -> Exchange:
    """The same as the tally knows it; the bodies have been read already."""
    return Exchange(
        purpose="compare",
        route="",
        mirror="",
        epoch="",
        protocol="grpc",  # in whose codes an error is not 0
        model=request.model,
        version=request.version,
        request_id=request.request_id,
        tenant=request.tenant,
        arrived=request.arrived,
        request=b"",
        header_length=None,
        answers=(_answer(expected), _answer(got)),
    )


def _answer(outcome: Outcome) -> Answer:
    status = 2 if outcome.failure else 0
    who = (outcome.target, outcome.model, outcome.version)
    return Answer(*who, status, b"", None, "", outcome.failure, outcome.seconds or 0.0)
