"""What a person reads on the terminal while the gateway starts and runs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from gateway.triton.status import Event, EventKind

_INDENT = "  "
_HERE = frozenset({"127.0.0.1", "::1", "0.0.0.0", "::"})  # noqa: S104 - only compared with

_LINES = {
    EventKind.MODEL_READY: "[green]✓[/] {model} is ready ({seconds})",
    EventKind.MODEL_FAILED: "[red]✗ {model} failed:[/] {message}",
    EventKind.MODEL_HEALING: "[yellow]! {model} is loaded again: {message}[/]",
    EventKind.MODEL_HEALED: "[green]✓[/] {model} is back ({seconds})",
    EventKind.DIED: "[red]✗ Triton died:[/] {message}",
    EventKind.RESTARTING: "[yellow]! Triton is started again in {seconds}[/]",
}
"""What is worth a line; a person need not know of the other events."""


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
        )
