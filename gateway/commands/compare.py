"""`triton-gateway compare`: how the answers of mirrored models compare with those that clients get."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table

from gateway.commands import options
from gateway.commands.steering import Asked, ask, asking, below, name_of_route
from gateway.core.errors import SetupError
from gateway.tap.report import tables, tabular, words
from gateway.tap.report.markdown import markdown
from gateway.tap.report.model import Report
from gateway.tap.report.page import page

_WORST, _PROBLEMS = 5, 3
_FORMS = {".html": "html", ".htm": "html", ".json": "json"}
_HINT = "give a mirror of a route the section `compare`, or a route a canary"


@click.group()
def compare() -> None:
    """Answers of mirrored models and of canaries, compared with those that clients get."""


@compare.command("list")
@asking
def list_(asked: Asked) -> None:
    """List what is compared, and how much of it agrees."""
    told = ask(asked.config, "/v1/comparisons")
    if asked.as_json:
        options.echo_json(told)
    elif told["comparisons"]:
        Console().print(_listed(told["comparisons"]))
    else:
        Console().print(f"Nothing is compared yet: {_HINT}.", soft_wrap=True)


@compare.command()
@name_of_route
@click.argument("mirror", required=False)
@click.option("--markdown", "form", flag_value="markdown", help="Print the report as Markdown.")
@click.option("--html", "form", flag_value="html", help="Print the report as a page with charts, for a browser.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it into this file, which nobody else may read; with none of the others, as its ending says.",
)
@asking
def show(name: str, mirror: str | None, form: str | None, output: Path | None, asked: Asked) -> None:
    """Show the report of one pair; MIRROR may be left out where a route has one."""
    mirror = mirror or _only_mirror(asked, name)
    told = ask(asked.config, below("comparisons", name, f"/{quote(mirror, safe='~')}"))
    report = Report.of(told)
    if asked.as_json and form:
        raise SetupError(f"--json and --{form} exclude each other; leave one of them out")
    form = "json" if asked.as_json else form or (_FORMS.get(output.suffix, "markdown") if output else None)
    if form is None:
        Console().print(_shown(report))
        return
    text = {"html": page, "markdown": markdown, "json": _json}[form](report)
    if output is None:
        click.echo(text.rstrip("\n"))
        return
    try:
        with open(output, "w", encoding="utf-8", opener=partial(os.open, mode=0o600)) as file:
            file.write(text)
    except OSError as error:
        raise SetupError(f"{output} cannot be written: {error.strerror}; name another file by --output") from None


def _only_mirror(asked: Asked, route: str) -> str:
    """The one that a route has.

    Raises:
        SetupError: it has none, or several.
    """
    found = ask(asked.config, "/v1/comparisons")["comparisons"]
    mirrors = [each["mirror"] for each in found if each["route"] == route]
    if not mirrors:
        routes = sorted({each["route"] for each in found})
        there = f"there are reports of: {', '.join(routes)}" if routes else _HINT
        raise SetupError(f"no answers of route {route!r} were compared; {there}")
    if len(mirrors) > 1:
        raise SetupError(f"route {route!r} is compared with several: say which of {', '.join(mirrors)}")
    return str(mirrors[0])


def _json(report: Report) -> str:
    return json.dumps(report.as_dict(), indent=2) + "\n"


def _listed(comparisons: Sequence[Mapping[str, Any]]) -> RenderableType:
    """One row for each pair, and below what there is to say of some; 80 columns are enough."""
    table = Table(
        tables.folded("route"),
        tables.folded("compared with"),
        *map(tables.whole, ("agreement", "differed", "last (UTC)")),
    )
    remarks = []
    for each in comparisons:
        compared = words.count(each["agreed"] + each["differed"])
        row = (
            each["route"],
            each["mirror"],
            words.share(each["agreement"]),
            f"{words.count(each['differed'])} of {compared}",
            words.moment(each["last"]),
        )
        table.add_row(*map(escape, row))
        if unreadable := each["unreadable"]:
            name = escape(f"{each['route']} {each['mirror']}")
            remarks.append(f"[bold]{name}[/]: {words.count(unreadable)} answers could not be compared")
    return Group(table, *remarks)


def _shown(report: Report) -> RenderableType:
    """The most of a report that a terminal has room for."""
    counts = report.counts
    parts: list[RenderableType] = [
        f"[bold]{escape(words.headline(counts))}[/]  {escape(report.route)}: {escape(words.pair(report))}",
        f"[dim]agreed[/] {counts.agreed}  [dim]differed[/] {counts.differed} ({report.failed} failed)  "
        f"[dim]unreadable[/] {counts.unreadable}  [dim]kept[/] {report.kept}",
        f"[dim]Answers agree if {escape(words.rule(report.settings))}.[/]",
    ]
    problems = sorted(report.problems.items(), key=lambda item: -item[1])[:_PROBLEMS]
    parts += [f"[yellow]{words.count(number)}:[/] {escape(what)}" for what, number in problems]
    if report.outputs:
        parts.append(tables.outputs(report))
    if report.baseline_latency and report.candidate_latency:
        parts.append(_latency(report))
    if report.worst:
        parts.append(tables.worst(report.worst[:_WORST]))
    return Group(*parts)


def _latency(report: Report) -> Table:
    table = Table("latency", *tabular.LATENCIES[1:])
    for row in tabular.latencies(report):
        table.add_row(*row)
    return table
