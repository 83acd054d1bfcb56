"""What a bench measured, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from rich.table import Table
from rich.text import Text

from converters.bench.result import BenchResult, Measurement

_BAR = 20  # characters of the longest bar
_HEADINGS = ("Batch", "At once", "Variant", "p50 ms", "p90 ms", "p99 ms", "Inferences/s", "CPU ms each", "Faster")


def rich_table(result: BenchResult) -> Table:
    """The measurements as a table for the terminal, with a bar for each latency."""
    table = Table(title=Text(str(result.machine)), caption=Text("\n".join(_remarks(result))) or None)
    for heading in (*_HEADINGS, "Latency"):
        table.add_column(heading, justify="left" if heading in {"Variant", "Latency"} else "right")
    longest = {_cell(measured): 0.0 for measured in result.measurements}
    for measured in result.measurements:
        longest[_cell(measured)] = max(longest[_cell(measured)], measured.p50_ms)
    previous = None
    for measured in result.measurements:
        if previous not in {None, _cell(measured)}:
            table.add_section()
        previous = _cell(measured)
        bar = "█" * max(round(_BAR * measured.p50_ms / longest[previous]), 1)
        table.add_row(*(Text(text) for text in (*_row(measured), bar)))
    return table


def markdown(result: BenchResult) -> str:
    """The measurements as a Markdown table, with the machine above and what could not be run below."""
    lines = [
        f"Measured on {result.machine}.",
        "",
        f"| {' | '.join(_HEADINGS)} |",
        "|--:|--:|:--|--:|--:|--:|--:|--:|--:|",
        *(_line(measured) for measured in result.measurements),
        "",
        *(f"- {remark}" for remark in _remarks(result)),
    ]
    return "\n".join(lines).rstrip() + "\n"


def as_json(result: BenchResult) -> str:
    """All figures with their names as in `BenchResult`."""
    return json.dumps(asdict(result), indent=2) + "\n"


def _line(measured: Measurement) -> str:
    cells = (text.replace("|", r"\|") for text in _row(measured))
    return f"| {' | '.join(cells)} |"


def _cell(measured: Measurement) -> tuple[int, int]:
    return measured.batch_size, measured.concurrency


def _row(measured: Measurement) -> tuple[str, ...]:
    ratio = measured.throughput_ratio
    return (
        str(measured.batch_size),
        str(measured.concurrency),
        measured.variant,
        f"{measured.p50_ms:.2f}",
        f"{measured.p90_ms:.2f}",
        f"{measured.p99_ms:.2f}",
        f"{measured.inferences_per_s:.1f}",
        f"{measured.cpu_ms:.2f}",
        "" if ratio is None else f"{ratio:.2f}x",
    )


def _remarks(result: BenchResult) -> Iterator[str]:
    for loaded in result.loaded:
        memory = "" if loaded.rss_mib is None else f", {loaded.rss_mib:.0f} MiB more resident memory"
        yield f"{loaded.variant}: {loaded.runner}, loaded in {loaded.load_seconds:.2f} s{memory}"
    for left_out in result.not_run:
        size = "" if left_out.batch_size is None else f" at batch {left_out.batch_size}"
        yield f"{left_out.variant} was not run{size}: {left_out.reason}"
