"""Models as a person reads them on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Column, Table

from gateway.repository.catalog import Entry
from gateway.repository.description import Check, Description, Tensor

_GREEN, _RED, _DIM = ("ready", "serving"), ("failed", "refused"), ("unknown", "retired")
_COLOURS = {**dict.fromkeys(_GREEN, "green"), **dict.fromkeys(_RED, "red"), **dict.fromkeys(_DIM, "dim")}


def models(entries: Iterable[Entry]) -> RenderableType:
    """One row for each model, and below what there is to say of some; 80 columns are enough."""
    table = Table(Column("model", overflow="fold"), Column("state", no_wrap=True), "serves", "kind", "size")
    remarks: list[RenderableType] = []
    for entry in entries:
        serves = ", ".join(map(str, entry.serving)) or ", ".join(str(version.number) for version in entry.versions[:1])
        kind = entry.description.kind if entry.description else ""
        table.add_row(escape(entry.name), _coloured(entry.state), serves, kind, size(entry.size_bytes))
        if told := entry.reason or entry.step:
            remarks.append(f"[bold]{escape(entry.name)}[/]: {escape(told)}")
    return Group(table, *remarks)


def versions(entry: Entry) -> Table:
    """One row for each version, the newest first."""
    table = Table("version", "state", "published (UTC)", Column("from", overflow="fold"), "size")
    if any(each.reason for each in entry.versions):
        table.add_column("reason")
    for each in entry.versions:
        when = each.published_at.replace("T", " ")[:19]
        where = escape(each.source or "found in place")
        row = [str(each.number), _coloured(each.state), when, where, size(each.size_bytes)]
        table.add_row(*row, *([escape(each.reason)] if len(table.columns) > len(row) else []))
    return table


def model(entry: Entry) -> RenderableType:
    """Everything about one model but how to call it."""
    parts: list[RenderableType] = [f"[bold]{escape(entry.name)}[/]  {_coloured(entry.state)}  {escape(entry.reason)}"]
    if entry.description:
        parts += description(entry.description)
    if entry.checks:
        parts.append(checks([Check(**check) for check in entry.checks]))
    parts.append(versions(entry))
    if entry.sites:
        table = Table(Column("Triton", overflow="fold"), "state", "versions", "memory", "reason")
        for name, site in entry.sites.items():
            memory = site.get("memory_mib")
            served = ", ".join(map(str, site.get("versions", ())))
            table.add_row(
                escape(name),
                _coloured(str(site["state"])),
                served,
                f"{memory:.0f} MiB" if memory else "",
                escape(str(site.get("reason", ""))),
            )
        parts.append(table)
    return Group(*parts)


def description(about: Description) -> list[RenderableType]:
    """What a model is, with its inputs and outputs."""
    facts = {
        "kind": about.kind,
        "backend": about.backend,
        "batches": "yes" if about.batches else "no",
        "opset": about.opset,
        "size": size(about.size_bytes),
        **about.origin,
    }
    line = "  ".join(f"[dim]{key}[/] {escape(str(value))}" for key, value in facts.items() if value)
    parts: list[RenderableType] = [line, signature(about.inputs, about.outputs)]
    parts += [f"[yellow]![/] {escape(each)}" for each in about.ambiguous]
    return parts


def signature(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Table:
    """The tensors of a model."""
    table = Table("", "name", "datatype", "shape", "")
    for side, tensors in (("input", inputs), ("output", outputs)):
        for tensor in tensors:
            shape = " x ".join("any" if size < 0 else str(size) for size in tensor.shape) or "one value"
            remark = "optional" if tensor.optional else tensor.labels
            table.add_row(side, escape(tensor.name), tensor.datatype, shape, escape(remark))
    return table


def checks(done: Sequence[Check]) -> Table:
    """What was validated."""
    table = Table("check", "found", "seconds")
    for check in done:
        table.add_row(f"[green]✓[/] {escape(check.name)}", escape(check.detail), f"{check.seconds:.2f}")
    return table


def size(count: int) -> str:
    """A number of bytes for people: 0.9 kB, 12 MB; empty for nothing."""
    if count == 0:
        return ""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count / 1e3:.1f} kB"


def _coloured(state: str) -> str:
    return f"[{_COLOURS.get(state, 'yellow')}]{escape(state)}[/]"
