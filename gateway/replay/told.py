"""What came of a replay, for people: on the terminal, and as a file."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path

import msgspec
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from gateway.core.errors import SetupError
from gateway.replay.results import Results
from gateway.tap.report import tables, words
from gateway.tap.report.markdown import markdown
from gateway.tap.report.page import page

_WORST = 5


def summary(results: Results) -> RenderableType:
    """A table of latencies, the worst cases, and a line for each thing there is to say."""
    said = f"{_requests(results.sent)} sent, {words.count(results.failed)} failed"
    parts: list[RenderableType] = [f"[bold]{escape(words.headline(results.report.counts))}[/]", said]
    parts += [escape(f"{words.count(number)} of them: {what}") for what, number in results.failures.items()]
    parts += [escape(f"{_requests(number)} {what}") for what, number in notes(results).items()]
    table = Table("", "p50", "p95", "p99")
    for side in results.latency:
        figures = results.percentiles(side)
        if figures is not None:
            table.add_row(side, *map(words.duration, figures.values()))
    parts.append(table)
    cases = [case for case in results.report.worst if case.verdict != "agreed"]
    if cases:
        parts.append(tables.worst(cases[:_WORST]))
    return Group(*parts)


def notes(results: Results) -> dict[str, int]:
    """What a reader has to know of the figures, with the number of requests of which it is true."""
    told = {
        "not compared: there is no answer to this very input to compare with": results.not_compared,
        "sent with zeros or empty texts, since their input was redacted": results.redacted,
        "sent without their parameters, which were not recorded": results.without_parameters,
    }
    return {what: number for what, number in told.items() if number}


def check_file(path: Path) -> None:
    """Refuse a file that no report can be written to, before anything is sent.

    Raises:
        SetupError: its suffix is none of a report's, or its folder is not there.
    """
    if path.suffix not in {".md", ".json", ".html"}:
        raise SetupError(f"{path}: a report is a .md, a .json or a .html file; name it so")
    if not path.parent.is_dir():
        raise SetupError(f"{path}: there is no folder {path.parent}; make it first")


def write(results: Results, path: Path) -> None:
    """Write the report in the form that the file's suffix says; a new file is for our own user alone.

    Raises:
        SetupError: it cannot be written.
    """
    noted = msgspec.structs.replace(results.report, problems={**results.report.problems, **notes(results)})
    if path.suffix == ".json":
        text = json.dumps({"replay": results.as_dict(), "report": results.report.as_dict()}, indent=2) + "\n"
    else:
        text = page(noted) if path.suffix == ".html" else markdown(noted)
    try:
        with open(path, "w", encoding="utf-8", opener=partial(os.open, mode=0o600)) as file:
            file.write(text)
    except OSError as error:
        raise SetupError(f"{path}: the report cannot be written: {error.strerror}") from None


def _requests(number: int) -> str:
    return f"{words.count(number)} request{'' if number == 1 else 's'}"
