"""Tables on standard output."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

_WIDTH = 120  # characters, where no terminal says how many there is room for


def show(table: Table) -> None:
    """Print a table, as wide as the terminal."""
    Console(width=None if sys.stdout.isatty() else _WIDTH).print(table)
