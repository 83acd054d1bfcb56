"""A report as Markdown: for a pull request, a ticket, or a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from gateway.tap.report import tabular, words
from gateway.tap.report.model import Report

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~&])")


def markdown(report: Report) -> str:
    """The whole report."""
    counts = report.counts
    parts = [
        f"# {_text(report.route)}: {_text(words.pair(report))}",
        f"**{_text(words.headline(counts))}**, from {words.moment(report.first)} to {words.moment(report.last)} (UTC).",
        f"Answers agree if {_text(words.rule(report.settings))}.",
        _table(
            ("agreed", "differed", "of these, one side failed", "unreadable", "kept for replay"),
            [[words.count(n) for n in (counts.agreed, counts.differed, report.failed, counts.unreadable, report.kept)]],
        ),
    ]
    if report.outputs:
        parts += ["## Outputs", _outputs(report)]
    if report.baseline_latency and report.candidate_latency:
        parts += ["## Latency", _table(tabular.LATENCIES, tabular.latencies(report)), words.latency_note(report)]
    if report.worst:
        parts += ["## Worst cases", _worst(report)]
    if report.problems:
        rows = sorted(report.problems.items(), key=lambda item: -item[1])
        parts += [
            "## What was not compared, or failed",
            _table(("times", "what"), [(str(n), _text(t)) for t, n in rows]),
        ]
    return "\n\n".join(parts) + "\n"


def _outputs(report: Report) -> str:
    found = [(_text(name), _text(kind), *figures) for name, kind, *figures in tabular.outputs(report)]
    return _table(tabular.OUTPUTS, found)


def _worst(report: Report) -> str:
    rows = [
        (
            words.case_error(case),
            case.verdict,
            words.instant(case.arrived),
            _text(case.request_id) or words.NOTHING,
            _text(case.reason) or words.NOTHING,
        )
        for case in report.worst
    ]
    return _table(("error", "verdict", "arrived (UTC)", "request", "why"), rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(text: str) -> str:
    """Text that is nothing but text, in one line."""
    return _SPECIAL.sub(r"\\\1", " ".join("".join(c if c.isprintable() else " " for c in text).split()))
