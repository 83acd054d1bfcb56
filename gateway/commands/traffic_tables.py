"""Routes as a person reads them on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

Told = Mapping[str, Any]

_COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "red")
_FILLS = "█▒▓░"  # so that shares can be told apart without colours too
_CELLS = 24


def routes(listed: Sequence[Told], aliases: Sequence[Told]) -> RenderableType:
    """One row for each route with its shares as a bar, and the aliases below."""
    parts: list[RenderableType] = []
    if listed:
        table = Table(
            Column("route", overflow="fold"), Column("share", no_wrap=True), Column("of", overflow="fold"), "by"
        )
        for each in listed:
            name = escape(each["name"]) + (
                "" if each["name"] == each["model"] else f"\n[dim]{escape(each['model'])}[/]"
            )
            table.add_row(name, share_bar(each["weights"]), _legend(each["weights"]), steered_by(each))
        parts.append(table)
    if aliases:
        table = Table(Column("alias", overflow="fold"), Column("means", overflow="fold"), "by")
        for each in aliases:
            means = escape(each["to"]) if each["to"] else "[dim]taken away[/]"
            table.add_row(escape(each["name"]), means, "hand" if each["by_hand"] else "configuration")
        parts.append(table)
    return Group(*parts)


def route(told: Told) -> RenderableType:
    """Everything about one route."""
    head = (
        f"[bold]{escape(told['name'])}[/]  [dim]model[/] {escape(told['model'])}  [dim]weights by[/] {steered_by(told)}"
    )
    parts: list[RenderableType] = [head, share_bar(told["weights"], 2 * _CELLS), _targets(told)]
    if told["measured_since"] is not None:
        parts.append(
            f"[dim]latencies since {moment(told['measured_since'])} UTC, all other counts since the workers started[/]"
        )
    if told["mirrors"]:
        parts.append(_mirrors(told["mirrors"]))
    if told["history"]:
        parts.append(history(told["history"]))
    if told.get("unsaved"):
        parts.append(f"[red]Lost at a restart:[/] the state file cannot be written ({escape(told['unsaved'])})")
    return Group(*parts)


def share_bar(weights: Mapping[str, float], cells: int = _CELLS) -> Text:
    """The shares of targets side by side; one with any share has a cell."""
    bar, used, reached = Text(), 0, 0.0
    for index, percent in enumerate(weights.values()):
        reached += percent
        end = max(round(reached / 100 * cells), used + (percent > 0))
        bar.append(_FILLS[index % len(_FILLS)] * (min(end, cells) - used), _COLOURS[index % len(_COLOURS)])
        used = min(end, cells)
    return bar


def shares(weights: Mapping[str, float]) -> str:
    """The same as words, such as `iris-1 90 %, iris-2 10 %`."""
    return ", ".join(f"{name} {weight:g} %" for name, weight in weights.items())


def steered_by(told: Told) -> str:
    """Who has the weights."""
    if told["by_hand"]:
        return "[yellow]hand[/]"
    return f"canary ({phase(told['canary'])})" if told["canary"] else "configuration"


def phase(name: str) -> str:
    """A canary's phase, coloured."""
    colour = {"promoted": "green", "running": "cyan", "rolled_back": "red", "aborted": "red"}.get(name, "yellow")
    return f"[{colour}]{escape(name.replace('_', ' '))}[/]"


def milliseconds(latency: Mapping[str, float] | None, share: str) -> str:
    """A percentile, if there is one."""
    return f"{latency[share]:.3g}" if latency else ""


def percent(value: float | None) -> str:
    """A percentage, if there is one."""
    return "" if value is None else f"{value:.3g} %"


def moment(seconds: float) -> str:
    """A point in time, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def history(changes: Sequence[Told]) -> Table:
    """What was changed, the latest first."""
    table = Table("when (UTC)", Column("who", overflow="fold"), Column("what", overflow="fold"))
    for change in changes:
        why = f"\n[dim]{escape(change['why'])}[/]" if change["why"] else ""
        table.add_row(moment(change["at"]), escape(change["who"]), escape(change["what"]) + why)
    return table


def _legend(weights: Mapping[str, float]) -> Text:
    text = Text()
    for index, (name, weight) in enumerate(weights.items()):
        text.append("\n" if index else "").append(f"{weight:g} % ", "dim").append(name, _COLOURS[index % len(_COLOURS)])
    return text


def _targets(told: Told) -> Table:
    table = Table(Column("target", overflow="fold"), "share", "requests", "errors", "p50 ms", "p95 ms", "p99 ms")
    for index, each in enumerate(told["targets"]):
        configured = f" [dim](configured: {each['configured']:g} %)[/]" if told["by_hand"] else ""
        latency = each["latency_ms"]
        version = f"/{each['version']}" if each["version"] is not None else ""
        where = f" [dim]at {escape(each['upstreams'])}[/]" if each["upstreams"] else ""
        name = f"[{_COLOURS[index % len(_COLOURS)]}]{escape(each['name'])}[/]"
        model = "" if each["model"] + version == each["name"] else f"\n[dim]{escape(each['model'])}{version}[/]"
        table.add_row(
            name + model + where,
            f"{each['weight']:g} %{configured}",
            f"{each['ok'] + each['failed']:,}",
            percent(each["error_percent"]),
            *(milliseconds(latency, share) for share in ("p50", "p95", "p99")),
        )
    return table


def _mirrors(mirrors: Sequence[Told]) -> Table:
    table = Table(Column("mirror", overflow="fold"), "copies", "errors", "dropped", "p50 ms", "p99 ms", "agreement")
    for each in mirrors:
        failed = each["failed"] + each["timed_out"]
        copies, compared = each["ok"] + failed, each["compared"] or {}
        dropped = ", ".join(f"{count:,} {why}" for why, count in each["dropped"].items() if count)
        table.add_row(
            escape(each["name"]),
            f"{copies:,}",
            percent(100 * failed / copies if copies else None),
            dropped,
            milliseconds(each["latency_ms"], "p50"),
            milliseconds(each["latency_ms"], "p99"),
            percent(compared.get("agreement_percent")),
        )
    return table
