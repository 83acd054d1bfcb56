"""What figures of a report are called: the same words in Markdown and on the page."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from gateway.tap.report.model import Case, Counts, OutputStatistics, Report

NOTHING = "-"
INFINITE = "∞"
_OF_COPIES = (
    "Of requests that both answered. A copy runs beside its original and takes time from it, so this shows what to "
    "look at, and not which model is faster."
)
_OF_REPLAYS = (
    "Of requests that both answered. What was recorded was measured by the gateway that recorded it, everything else "
    "by the replay, which sends several requests at a time."
)


def figure(value: float | None) -> str:
    """A number with three digits."""
    if value is None:
        return NOTHING
    return f"{value:.3g}" if math.isfinite(value) else INFINITE


def similarity(value: float | None) -> str:
    """A cosine similarity."""
    if value is None:
        return NOTHING
    return "> 0.999999" if 0.9999995 <= value < 1 else f"{value:.6f}"


def share(value: float | None) -> str:
    """A share from 0 to 1 as a percentage; what is not quite nothing or all is never called so."""
    if value is None:
        return NOTHING
    if 0 < value < 0.0001:
        return "< 0.01 %"
    if 0.9999 < value < 1:
        return "> 99.99 %"
    text = f"{100 * value:.2f}".rstrip("0").rstrip(".")
    return f"{text} %"


def count(number: int) -> str:
    """A whole number with its thousands set apart."""
    return f"{number:,}".replace(",", "\u202f")


def duration(seconds: float) -> str:
    """A latency."""
    for factor, unit in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= factor:
            return f"{seconds / factor:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def moment(seconds: float | None) -> str:
    """A point in time, in UTC."""
    if seconds is None:
        return NOTHING
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def headline(counts: Counts) -> str:
    """What came of it, in a few words."""
    if not counts.compared:
        return "Nothing compared yet"
    return f"{share(counts.agreement)} of {count(counts.compared)} answers agree"


def rule(settings: dict[str, Any]) -> str:
    """When two answers agree."""
    said = {
        "max_error": f"no element is off by more than {settings.get('absolute', 0):g} + "
        f"{settings.get('relative', 0):g} times what is expected",
        "cosine": f"the cosine similarity is at least {settings.get('cosine', 0):g}",
        "top1": "every row has the expected top class",
        "function": f"{settings.get('function')} says so, by at least {settings.get('least', 0):g} % where it gives a "
        "number",
    }.get(str(settings.get("by")), "")
    ignored = settings.get("ignore") or ()
    return said + (f"; not compared: {', '.join(map(str, ignored))}" if ignored else "")


def shape(output: OutputStatistics) -> str:
    """Datatype and shape as they were last."""
    return f"{output.datatype} [{', '.join(map(str, output.shape))}]"


def pair(report: Report) -> str:
    """Who is compared with whom."""
    if report.replayed or not report.candidate.model:
        return report.mirror
    baseline, candidate = sides(report)
    return f"{candidate} against {baseline}"


def subject(report: Report) -> str:
    """What a report is of, in a line."""
    if report.replayed:
        return f"{report.route}: {report.mirror}"
    return f"Route {report.route}, {report.mirror}: {pair(report)}"


def sides(report: Report) -> tuple[str, str]:
    """Baseline and candidate, told apart by their targets where the same model answered."""
    baseline, candidate = report.baseline, report.candidate
    if str(baseline) != str(candidate) or baseline.target == candidate.target:
        return str(baseline), str(candidate)
    return f"{baseline} at {baseline.target}", f"{candidate} at {candidate.target}"


def latency_note(report: Report) -> str:
    """What latencies say, and what they do not."""
    return _OF_REPLAYS if report.replayed else _OF_COPIES


def instant(seconds: float) -> str:
    """A point in time, in UTC, by which a request can be found in a log."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(" ", "milliseconds")[:-6]


def case_error(case: Case) -> str:
    """How bad a case was."""
    return INFINITE if case.error is None else figure(case.error)
