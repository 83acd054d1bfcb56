"""Counts what came of comparisons, in a report; pure, and bounded whatever comes."""

from __future__ import annotations

import math
from typing import Any

from gateway.tap.difference import Difference, OutputDifference
from gateway.tap.exchange import Answer, Exchange
from gateway.tap.report.model import Case, Counts, OutputStatistics, Report, Side, Timeline
from gateway.traffic.latency import bin_of

A_DECADE = 4  # bins of an error histogram
_LEAST_BIN, _MOST_BIN = -20 * A_DECADE, 40 * A_DECADE

_WORST = 20
_WORST_INFINITE = 10  # of them, so that a server that fails does not hide what is wrong by a number
_MOST_OUTPUTS = 64
_OUTPUTS_OF_A_CASE = 8
_MOST_PROBLEMS = 20
_MOST_OF_A_PROBLEM = 200
_OTHER_PROBLEMS = "others"
_MOST_PERIODS = 120
_WIDTHS = (10, 30, 60, 300, 900, 3600, 10800, 43200, 86400)  # seconds, each a multiple of the one before
_PAST_EPOCHS = 16
_NANOSECONDS = 1e9


class Tally:
    """The statistics of one pair.

    Args:
        report: to go on with, or an empty one.
        since: what this process has counted of the pair, where it is not the first tally of it.
    """

    def __init__(self, report: Report, since: Counts | None = None) -> None:
        self.report = report
        self._since = Counts() if since is None else since
        self._epoch, self._window = "", Counts()
        self._past: list[str] = []

    def add(self, exchange: Exchange, difference: Difference) -> None:
        """Count one comparison."""
        report, arrived = self.report, exchange.arrived / _NANOSECONDS
        _count(report.counts, difference)
        _count(self._since, difference)
        _count(period_of(report.timeline, arrived), difference)
        self._count_in_window(exchange.epoch, difference)
        report.first = arrived if report.first is None else min(report.first, arrived)
        report.last = arrived if report.last is None else max(report.last, arrived)
        if difference.verdict != "agreed" and not difference.outputs:
            report.failed += difference.verdict == "differed"
            _count_problem(report.problems, difference.reason)
        for name, output in difference.outputs.items():
            if name in report.outputs or len(report.outputs) < _MOST_OUTPUTS:
                _add_output(report.outputs, name, output)
        if len(exchange.answers) == 2:
            baseline, candidate = exchange.answers
            report.baseline, report.candidate = side_of(baseline), side_of(candidate)
            if _well(exchange, baseline) and _well(exchange, candidate):
                _increase(report.baseline_latency, bin_of(baseline.seconds))
                _increase(report.candidate_latency, bin_of(candidate.seconds))
            if difference.error > 0:
                _remember(report.worst, exchange, difference)

    def status(self) -> dict[str, Any]:
        """What was counted since the process began, and in the window that is measured: what control adds up."""
        counts, window = self._since, None
        if self._epoch:
            window = {"epoch": self._epoch, "agreed": self._window.agreed, "differed": self._window.differed}
        return {
            "agreed": counts.agreed,
            "differed": counts.differed,
            "unreadable": counts.unreadable,
            "window": window,
        }

    def _count_in_window(self, epoch: str, difference: Difference) -> None:
        """A window begins with the first exchange of its epoch; what comes late, of one before, is in none."""
        if not epoch or epoch in self._past:
            return
        if epoch != self._epoch:
            if self._epoch:
                self._past = [*self._past, self._epoch][-_PAST_EPOCHS:]
            self._epoch, self._window = epoch, Counts()
        _count(self._window, difference)


def side_of(answer: Answer) -> Side:
    """Who gave an answer."""
    return Side(answer.target, answer.model, answer.version)


def error_bin(error: float) -> int:
    """The bin of an error histogram that a finite error above 0 falls into; bin 0 begins at 1."""
    return min(max(math.floor(math.log10(error) * A_DECADE), _LEAST_BIN), _MOST_BIN)


def error_of(number: int) -> float:
    """The error at which a bin begins."""
    return float(10 ** (number / A_DECADE))


def period_of(timeline: Timeline, arrived: float) -> Counts:
    """The counts of the period in which a request arrived; periods get longer so that there are not too many."""
    number = int(arrived // timeline.width)
    while timeline.periods and _span(timeline, number) > _MOST_PERIODS:
        factor = next((width for width in _WIDTHS if width > timeline.width), 2 * timeline.width) // timeline.width
        timeline.width *= factor
        merged: dict[int, Counts] = {}
        for old, counts in timeline.periods.items():
            into = merged.setdefault(old // factor, Counts())
            into.agreed += counts.agreed
            into.differed += counts.differed
            into.unreadable += counts.unreadable
        timeline.periods, number = merged, number // factor
    return timeline.periods.setdefault(number, Counts())


def _span(timeline: Timeline, number: int) -> int:
    return max(*timeline.periods, number) - min(*timeline.periods, number) + 1


def _count(counts: Counts, difference: Difference) -> None:
    if difference.verdict == "agreed":
        counts.agreed += 1
    elif difference.verdict == "differed":
        counts.differed += 1
    else:
        counts.unreadable += 1


def _count_problem(problems: dict[str, int], reason: str) -> None:
    reason = reason[:_MOST_OF_A_PROBLEM]
    if reason not in problems and len(problems) >= _MOST_PROBLEMS:
        reason = _OTHER_PROBLEMS
    problems[reason] = problems.get(reason, 0) + 1


def _add_output(outputs: dict[str, OutputStatistics], name: str, output: OutputDifference) -> None:
    known = outputs.get(name)
    if known is None:
        known = outputs[name] = OutputStatistics(output.datatype, output.shape)
    known.datatype, known.shape = output.datatype, output.shape
    known.compared += 1
    known.differed += not output.agrees
    known.elements += output.elements
    known.mismatched += output.mismatched
    if output.max_error is not None:
        _add_error(known, output.max_error)
    if output.mean_error is not None and output.cosine is not None:
        known.measured += 1
        known.error_sum += output.mean_error
        known.cosine_sum += output.cosine
        known.cosine_least = output.cosine if known.cosine_least is None else min(known.cosine_least, output.cosine)
    if output.top1 is not None:
        known.top1_of += 1
        known.top1_sum += output.top1


def _add_error(known: OutputStatistics, error: float) -> None:
    if not math.isfinite(error):
        known.infinite += 1
        return
    known.max_error = error if known.max_error is None else max(known.max_error, error)
    if error == 0:
        known.exact += 1
    else:
        _increase(known.errors, error_bin(error))


def _remember(worst: list[Case], exchange: Exchange, difference: Difference) -> None:
    """Keep it if it is one of the worst; of those that are equally bad the latest stay."""
    if len(worst) == _WORST and _badness(worst[-1].error) > difference.error:
        return  # quickly: most are of this kind
    outputs = sorted(difference.outputs.items(), key=lambda item: item[1].agrees)[:_OUTPUTS_OF_A_CASE]
    baseline, candidate = exchange.answers
    case = Case(
        arrived=exchange.arrived / _NANOSECONDS,
        request_id=exchange.request_id,
        error=difference.error if math.isfinite(difference.error) else None,
        verdict=difference.verdict,
        reason=difference.reason[:_MOST_OF_A_PROBLEM],
        seconds=(baseline.seconds, candidate.seconds),
        outputs=dict(outputs),
    )
    worst.append(case)
    worst.sort(key=lambda each: (_badness(each.error), each.arrived), reverse=True)
    infinite = sum(each.error is None for each in worst)
    del worst[_WORST_INFINITE : max(infinite, _WORST_INFINITE)]
    del worst[_WORST:]


def _badness(error: float | None) -> float:
    return math.inf if error is None else error


def _well(exchange: Exchange, answer: Answer) -> bool:
    return answer.status < 400 if exchange.protocol == "http" else answer.status == 0


def _increase(histogram: dict[int, int], number: int) -> None:
    histogram[number] = histogram.get(number, 0) + 1
