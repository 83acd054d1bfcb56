"""From rounds to figures: medians, spreads and verdicts. Pure, and of the standard library alone."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of several rounds.

    Attributes:
        median: in the unit of what was measured.
        spread: from the smallest to the largest round, as a share of the median.
        failure: why there is no figure; empty if there is.
    """

    median: float
    spread: float
    failure: str = ""


def figure(rounds: Sequence[Row], key: str) -> Figure | None:
    """The figure of one measured quantity; None if it was not measured. One failed round fails it."""
    failed = next((r["failure"] for r in rounds if r.get("failure")), "")
    if failed:
        return Figure(0, 0, failed)
    values = [r[key] for r in rounds if r.get(key) is not None]
    if not values:
        return None
    median = statistics.median(values)
    return Figure(median, (max(values) - min(values)) / median if median else 0.0)


def load(folder: Path) -> dict[str, Row]:
    """Every part's results that are there, by the part's name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def find(rows: Iterable[Row], **wanted: Any) -> list[Row]:
    """The rows whose values are these."""
    return [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]


def distinct(rows: Iterable[Row], key: str) -> list[Any]:
    """The values of one column, each once, in the order they come."""
    return list(dict.fromkeys(row[key] for row in rows))


def told(value: Figure | None, form: Callable[[float], str]) -> str:
    """A figure as it stands in a table: its median, with the spread where that matters."""
    if value is None:
        return ""
    if value.failure:
        return "FAILED"
    return form(value.median) + (f" ±{value.spread * 50:.0f}%" if value.spread >= 0.1 else "")


def short(number: float) -> str:
    """Three digits that matter."""
    if number >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are aligned to the right."""
    line = "|" + "|".join(["---", *("---:" for _ in header[1:])]) + "|"
    return "\n".join(["| " + " | ".join(header) + " |", line, *("| " + " | ".join(row) + " |" for row in rows)])


def ratios(rows: Sequence[Row], engine: str, rival: str, key: str) -> list[tuple[Row, float]]:
    """For each cell that both have, how many times the rival's figure the engine's is."""
    found = []
    same = ("upstream", "kind", "size", "concurrency")
    for row in find(rows, engine=engine):
        other = find(rows, engine=rival, **{name: row[name] for name in same})
        ours, theirs = figure(row["rounds"], key), figure(other[0]["rounds"], key) if other else None
        if ours and theirs and not ours.failure and not theirs.failure and theirs.median:
            found.append((row, ours.median / theirs.median))
    return found


def added_latency(rows: Sequence[Row], upstream: str, tool: str, kind: str, engine: str) -> float | None:
    """The median latency of `engine` less that of the upstream alone, in milliseconds."""
    both = [find(rows, upstream=upstream, tool=tool, kind=kind, engine=name) for name in (engine, "direct")]
    if not all(both):
        return None
    through, direct = (figure(found[0]["rounds"], "p50_ms") for found in both)
    if through is None or direct is None or through.failure or direct.failure:
        return None
    return through.median - direct.median


def share_of_alone(row: Row, cells: Sequence[Row]) -> float | None:
    """A server's throughput as a share of what ONNX Runtime alone reaches with the same model and concurrency."""
    alone = find(cells, engine="onnxruntime", model=row["model"], concurrency=row["concurrency"])
    most = figure(alone[0]["rounds"], "per_second") if alone else None
    rate = figure(row["rounds"], "per_second")
    if rate is None or most is None or rate.failure or most.failure or not most.median:
        return None
    return rate.median / most.median
