"""The control API's status as a person reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

_COLOURS = {"ready": "green", "external": "green", "failed": "red", "down": "red"}
_WELL = frozenset({"ready", "unloaded"})  # what was unloaded on request is as it should be


def is_well(status: Mapping[str, Any]) -> bool:
    """Whether everything is ready: the workers, and external Tritons as each sees them or the embedded one's models."""
    if not status["workers"] or not all(worker["pid"] for worker in status["workers"]):
        return False
    if status.get("tap") is not None and not status["tap"]["pid"]:
        return False
    triton = status["triton"]
    if triton is None:
        return all(upstream["healthy"] for _, upstream in _seen(status))
    return triton["state"] == "ready" and all(model["state"] in _WELL for model in triton["models"].values())


def render(status: Mapping[str, Any]) -> RenderableType:
    """Addresses, processes, Tritons and models as tables."""
    parts: list[RenderableType] = [_gateway(status), *_about_config(status["config"])]
    triton = status["triton"]
    if triton is None:
        parts.append(_upstreams(status))
    else:
        parts += [f"Triton's log: {escape(triton['log_file'])}", _models(triton["models"])]
    return Group(*parts)


def _gateway(status: Mapping[str, Any]) -> Table:
    table = Table("part", "state", "process", "address", title=f"triton-gateway {status['version']}")
    addresses = status["addresses"]
    shared = ", ".join(addresses[protocol] for protocol in ("http", "grpc") if protocol in addresses)
    for worker in status["workers"]:
        state = "ready" if worker["pid"] else "down"
        table.add_row(worker["name"], _coloured(state), str(worker["pid"] or ""), shared)
    table.add_row("control", _coloured("ready"), str(status["processes"]["control"]), addresses.get("control", ""))
    tap = status.get("tap")  # there only while something is recorded or compared
    if tap is not None:
        table.add_row("tap", _coloured("ready" if tap["pid"] else "down"), str(tap["pid"] or ""), "")
    triton = status["triton"]
    if triton is not None:
        [where] = [f"{upstream['http']}, {upstream['grpc']}" for upstream in status["upstreams"]]
        counts = f"{triton['restarts']} restarts, {triton['heals']} heals"
        table.add_row("Triton", f"{_coloured(triton['state'])} ({counts})", str(triton["pid"] or ""), where)
    return table


def _about_config(config: Mapping[str, Any]) -> Iterable[str]:
    """What became of the last change of the configuration, where a person should know."""
    if config["error"]:
        yield f"[red]The changed configuration was refused:[/] {escape(config['error'])}"
    if config["waiting"]:
        yield f"[yellow]Only at the next start:[/] {', '.join(config['waiting'])}"


def _upstreams(status: Mapping[str, Any]) -> Table:
    """One row for each external Triton, with what the workers say of it."""
    table = Table("Triton", "state", "models", "in flight", "address")
    for upstream in status["upstreams"]:
        name = upstream["name"] or upstream["http"]
        seen = [each for seen_name, each in _seen(status) if seen_name == name]
        models = max((each["models"] or 0 for each in seen), default=0)
        in_flight = sum(each["in_flight"] for each in seen)
        where = f"{upstream['http']}, {upstream['grpc']}"
        table.add_row(escape(name), _coloured(_state(seen)), str(models), str(in_flight), where)
    return table


def _state(seen: list[Mapping[str, Any]]) -> str:
    if not seen:
        return "unknown"
    if not any(each["healthy"] for each in seen):
        return "down"
    if not all(each["healthy"] for each in seen):
        return "down for some workers"
    return "left out after failures" if any(each["ejected_seconds"] for each in seen) else "ready"


def _seen(status: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Each upstream by its name, as each worker sees it."""
    for worker in status["workers"]:
        for upstream in worker.get("upstreams", ()):
            yield upstream["name"], upstream


def _models(models: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table("model", "state", "loaded in", "reason")
    for name, model in sorted(models.items()):
        seconds = "" if model["seconds"] is None else f"{model['seconds']:.1f} s"
        table.add_row(escape(name), _coloured(model["state"]), seconds, escape(model["reason"]))
    return table


def _coloured(state: str) -> str:
    colour = _COLOURS.get(state, "yellow")
    return f"[{colour}]{escape(state)}[/]"
