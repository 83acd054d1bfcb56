"""What a person reads on the terminal while the gateway starts and runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from gateway.repository.progress import News, NewsKind
from gateway.triton.status import Event, EventKind

_INDENT = "  "
_HERE = frozenset({"127.0.0.1", "::1", "0.0.0.0", "::"})  # noqa: S104 - only compared with

_LINES = {
    EventKind.MODEL_READY: "[green]✓[/] {model} is ready{in_seconds}",
    EventKind.MODEL_FAILED: "[red]✗ {model} failed:[/] {message}",
    EventKind.MODEL_HEALING: "[yellow]! {model} is loaded again: {message}[/]",
    EventKind.MODEL_HEALED: "[green]✓[/] {model} is back ({seconds})",
    EventKind.MODEL_UNLOADED: "[yellow]! {model} was unloaded on request[/]",
    EventKind.DIED: "[red]✗ Triton died:[/] {message}",
    EventKind.RESTARTING: "[yellow]! Triton is started again in {seconds}[/]",
}
"""What is worth a line; a person need not know of the other events."""

_NEWS = {
    NewsKind.DROPPED: "[dim]{model}: looking at {message} ...[/]",
    NewsKind.PUBLISHED: "[green]✓[/] {model} version {message} is published ({seconds})",
    NewsKind.REFUSED: "[red]✗ {model} is refused:[/] {message}",
    NewsKind.CHANGED: "[yellow]! {model} was changed by hand: {message}[/]",
    NewsKind.REMOVED: "[yellow]! {model} was removed from the repository[/]",
    NewsKind.TROUBLE: "[yellow]! {message}[/]",
}


def reach(address: str) -> str:
    """How somebody on this machine reaches the "host:port" that a server listens on."""
    host, _, port = address.rpartition(":")
    if host in _HERE:
        return f"localhost:{port}"
    return f"[{host}]:{port}" if ":" in host else address


class Narrator:
    """Turns events into lines; a spinner runs between them where there is a terminal.

    Args:
        console: where the lines go.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told = 0  # the number of the last line about traffic

    def working(self, on: str) -> AbstractContextManager[Status]:
        """Show that something is going on, and what."""
        if not self._console.is_terminal:
            self._console.print(f"{on} ...")
        return self._console.status(f"{on} ...")

    def skipped(self, model: str, reason: str) -> None:
        """Say that a model is left out, and why."""
        self._console.print(f"{_INDENT}[dim]- {escape(model)} is left out: {escape(reason)}[/]", soft_wrap=True)

    def tell(self, event: Event) -> None:
        """Say what happened, where a person wants to know."""
        line = self._line(event)
        if line:
            self._console.print(f"{_INDENT}{line}", highlight=False, soft_wrap=True)

    def news(self, news: News) -> None:
        """Say what happened to the repository."""
        line = _NEWS[news.kind].format(
            model=escape(news.model), message=escape(news.message), seconds=f"{news.seconds or 0.0:.1f} s"
        )
        self._console.print(f"{_INDENT}{line}", highlight=False, soft_wrap=True)

    def traffic(self, news: Sequence[Mapping[str, Any]]) -> None:
        """Say what was decided about traffic; each line once, whatever else is told again."""
        for each in news:
            if each["number"] > self._told:
                self._told = each["number"]
                self._console.print(f"{_INDENT}{escape(each['text'])}", highlight=False, soft_wrap=True)

    def died(self, process: str, status: int, delay: float) -> None:
        """Say that a process of the gateway is gone, and when its replacement comes."""
        self._console.print(
            f"[red]The {process} process died[/] (status {status}); it is started again in {delay:g} s", soft_wrap=True
        )

    def upstreams(self, ready: Mapping[str, bool]) -> None:
        """Say which of the external Tritons are ready."""
        for name, is_ready in ready.items():
            line = "[green]✓[/] {} is ready" if is_ready else "[yellow]! {} is not ready yet[/]"
            self._console.print(f"{_INDENT}{line.format(escape(name))}", highlight=False, soft_wrap=True)
        if not any(ready.values()):
            self._console.print(
                "[yellow]No external Triton is ready yet:[/] inference gets 503 until one is. "
                "If that lasts, check `upstreams` in the configuration.",
                soft_wrap=True,
            )

    def reloaded(self, applied: Sequence[str], waiting: Sequence[str]) -> None:
        """Say what a changed configuration has changed, and what it will change at the next start."""
        if applied:
            line = f"[green]✓[/] The configuration was read again: {', '.join(applied)} changed"
        else:
            line = "The configuration was read again: nothing changed"
        if waiting:
            line += f"; [yellow]{', '.join(waiting)} only at the next start[/]"
        self._console.print(line, highlight=False, soft_wrap=True)

    def refused(self, reason: str) -> None:
        """Say why a changed configuration is not used."""
        self._console.print(
            f"[red]✗ The changed configuration is refused, the old one stays:[/] {escape(reason)}",
            highlight=False,
            soft_wrap=True,
        )

    def ready(self, addresses: Mapping[str, str], seconds: float) -> None:
        """Say where to find everything."""
        self._console.print(f"[bold green]Ready[/] after {seconds:.1f} s.")
        for protocol, what in (("http", "HTTP   "), ("grpc", "gRPC   "), ("control", "control")):
            scheme = "" if protocol == "grpc" else "http://"
            self._console.print(f"{_INDENT}{what}  {scheme}{reach(addresses[protocol])}", highlight=False)

    def _line(self, event: Event) -> str:
        line = _LINES.get(event.kind, "")
        return line.format(
            model=escape(event.model or ""),
            message=escape(event.message),
            seconds=f"{event.seconds or 0.0:.1f} s",
            in_seconds="" if event.seconds is None else f" ({event.seconds:.1f} s)",
        )
