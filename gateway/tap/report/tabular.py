"""What the tables of a report say, whatever they are drawn with."""

from __future__ import annotations

from gateway.tap.report import words
from gateway.tap.report.latencies import MARKED
from gateway.tap.report.model import Report
from gateway.traffic.latency import percentile

OUTPUTS = ("output", "type", "agree", "max error", "mean error", "cosine", "least cosine", "top-1", "elements off")
LATENCIES = ("", *(f"p{at}" for at in MARKED))


def outputs(report: Report) -> list[tuple[str, ...]]:
    """How far each output was off, with the columns `OUTPUTS`."""
    return [
        (
            name,
            words.shape(output),
            words.share(1 - output.differed / output.compared),
            words.figure(output.max_error),
            words.figure(output.mean_error),
            words.similarity(output.cosine),
            words.similarity(output.cosine_least),
            words.share(output.top1),
            words.share(output.mismatched / output.elements) if output.elements else words.NOTHING,
        )
        for name, output in sorted(report.outputs.items())
    ]


def latencies(report: Report) -> list[tuple[str, ...]]:
    """The percentiles of both sides, with the columns `LATENCIES`."""
    sides = {"baseline": report.baseline_latency, "candidate": report.candidate_latency}
    return [
        (side, *(words.duration(percentile(histogram, at / 100)) for at in MARKED)) for side, histogram in sides.items()
    ]
