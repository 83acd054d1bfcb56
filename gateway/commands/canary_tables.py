"""Canaries as a person reads them on a terminal: how far each is, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from gateway.commands.traffic_tables import Told, history, milliseconds, percent, phase

_UNDER_WAY = ("waiting", "running", "paused")
_SHORT = 80  # letters that say in a list why something is over
_CELLS = 40
_STEP_CELLS = 8
_OUTCOMES = {"pass": "[green]✓[/]", "fail": "[red]✗[/]", "wait": "[yellow]…[/]"}
_SHARES = ("p50", "p95", "p99")


def canaries(listed: Sequence[Told], now: float) -> Table:
    """One row for each, with its steps as a picture.

    Args:
        listed: as the control API tells them.
        now: in seconds since 1970.
    """
    table = Table(
        Column("route", overflow="fold"),
        Column("phase", no_wrap=True),
        "steps",
        "share",
        Column("last", overflow="fold"),
    )
    for told in listed:
        state = "[yellow]weights by hand[/]" if told["by_hand"] else phase(told["phase"])
        last = _baking(told, now) if told["phase"] == "running" else _short(told["says"])
        table.add_row(escape(told["name"]), state, _dots(told), f"{told['percent']:g} %", escape(last))
    return table


def canary(told: Told, now: float) -> RenderableType:
    """Everything about one: steps with bars, gates with their numbers, both targets side by side.

    Args:
        told: as the control API tells it.
        now: in seconds since 1970.
    """
    head = (
        f"[bold]{escape(told['name'])}[/]  {phase(told['phase'])}  "
        f"{escape(told['baseline'])} [dim]→[/] [bold]{escape(told['candidate'])}[/]"
    )
    parts: list[RenderableType] = [head]
    if told["by_hand"]:
        parts.append("[yellow]The weights were set by hand;[/] `canary restart` gives them back to the canary")
    parts += [_steps(told, now), f"[dim]{escape(told['says'])}[/]"]
    if told["verdicts"]:
        parts.append(_gates(told["verdicts"]))
    parts += [_evidence(told), history(told["history"])]
    return Group(*parts)


def _steps(told: Told, now: float) -> Table:
    """One line for each step, its share as a bar: green is done, cyan is now."""
    grid = Table.grid(padding=(0, 1))
    is_over = told["phase"] not in _UNDER_WAY
    promoted = told["phase"] == "promoted"
    for index, share in enumerate(told["steps"]):
        done, here = promoted or index < told["step"], index == told["step"]
        cells = max(1, round(share / 100 * _CELLS))
        if done:
            mark, colour, remark = "[green]✓[/]", "green", ""
        elif here and told["phase"] != "waiting":
            mark, colour = ("[red]✗[/]", "red") if is_over else ("[cyan]▶[/]", "cyan")
            remark = "" if is_over else _baking(told, now)
        else:
            mark, colour, remark = "", "bright_black", ""
        bar = Text(("█" if colour != "bright_black" else "░") * cells, colour)
        grid.add_row(mark, Text(f"{share:g} %", justify="right"), bar, Text(remark, "dim"))
    return grid


def _baking(told: Told, now: float) -> str:
    """How much of a step is done."""
    if told["phase"] == "paused":
        return "paused"
    baked = min(max(0.0, now - told["since"]), told["bake_seconds"])
    text = f"{baked:.0f} of {told['bake_seconds']:g} s"
    if "evidence" in told:
        candidate = told["evidence"]["candidate"]
        text += f", {candidate['ok'] + candidate['failed']:,} of {told['least_requests']:,} requests"
    return text


def _dots(told: Told) -> Text:
    text = Text()
    is_over, promoted = told["phase"] not in _UNDER_WAY, told["phase"] == "promoted"
    for index in range(len(told["steps"])):
        if promoted or index < told["step"]:
            text.append("●", "green")
        elif index == told["step"] and told["phase"] != "waiting":
            text.append("✗" if is_over else "◐", "red" if is_over else "cyan")
        else:
            text.append("○", "bright_black")
    return text


def _gates(verdicts: Sequence[Told]) -> Table:
    table = Table("", "gate", Column("what was seen", overflow="fold"))
    for verdict in verdicts:
        table.add_row(_OUTCOMES[verdict["outcome"]], escape(verdict["gate"]), escape(_seen(verdict)))
    return table


def _seen(verdict: Told) -> str:
    """What a gate says, without its name."""
    return str(verdict["sentence"]).removeprefix(f"{verdict['gate']}: ")


def _short(text: str) -> str:
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"


def _evidence(told: Told) -> Table:
    """What was counted in this step of both targets, and of the copies."""
    table = Table(Column("in this step", overflow="fold"), "requests", "errors", "p50 ms", "p95 ms", "p99 ms")
    found = told["evidence"]
    for kind in ("baseline", "candidate"):
        table.add_row(f"{escape(told[kind])} [dim]{kind}[/]", *_row(found[kind]))
    if found["shadow"]["error_percent"] is not None:
        table.add_row(f"{escape(told['candidate'])} [dim]copies[/]", *_row(found["shadow"]))
    compared = found["compared"]
    if compared["agreement_percent"] is not None:
        count = compared["agreed"] + compared["differed"]
        table.add_row("[dim]answers that agree[/]", f"{count:,}", percent(compared["agreement_percent"]))
    return table


def _row(sample: Told) -> list[Any]:
    latency = sample.get("latency_ms")
    count = f"{sample['ok'] + sample['failed']:,}"
    return [count, percent(sample["error_percent"]), *(milliseconds(latency, share) for share in _SHARES)]
