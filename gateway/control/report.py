"""The control API's status as a person reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

_COLOURS = {"ready": "green", "failed": "red"}


def is_well(status: Mapping[str, Any]) -> bool:
    """Whether all that this gateway runs is ready; an external Triton is not its own."""
    triton = status["triton"]
    return triton is None or (
        triton["state"] == "ready" and all(model["state"] == "ready" for model in triton["models"].values())
    )


def render(status: Mapping[str, Any]) -> RenderableType:
    """Addresses, processes and models as tables."""
    parts: list[RenderableType] = [_gateway(status)]
    triton = status["triton"]
    if triton is not None:
        parts += [f"Triton's log: {escape(triton['log_file'])}", _models(triton["models"])]
    return Group(*parts)


def _gateway(status: Mapping[str, Any]) -> Table:
    table = Table("part", "state", "process", "address", title=f"triton-gateway {status['version']}")
    for role in ("data", "control"):
        addresses = [a for protocol, a in status["addresses"].items() if (protocol == "control") == (role == "control")]
        table.add_row(role, "[green]ready[/]", str(status["processes"][role]), ", ".join(addresses))
    triton, upstream = status["triton"], status["upstream"] or {}
    where = ", ".join(upstream.values())
    if triton is None:
        table.add_row("Triton", "external", "", where)
    else:
        counts = f"{triton['restarts']} restarts, {triton['heals']} heals"
        table.add_row("Triton", f"{_coloured(triton['state'])} ({counts})", str(triton["pid"] or ""), where)
    return table


def _models(models: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table("model", "state", "loaded in", "reason")
    for name, model in sorted(models.items()):
        seconds = "" if model["seconds"] is None else f"{model['seconds']:.1f} s"
        table.add_row(escape(name), _coloured(model["state"]), seconds, escape(model["reason"]))
    return table


def _coloured(state: str) -> str:
    colour = _COLOURS.get(state, "yellow")
    return f"[{colour}]{escape(state)}[/]"
