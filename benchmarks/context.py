"""What every part of the benchmark is given."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from benchmarks.service import Cores


@dataclass(slots=True)
class Progress:
    """Says what is being measured, and how long the rest will take.

    Attributes:
        total: steps of the part at hand.
    """

    console: Console
    total: int = 0
    done: int = 0
    started: float = field(default_factory=time.monotonic)

    def begin(self, what: str, total: int) -> None:
        """Start counting the steps of a part."""
        self.total, self.done, self.started = total, 0, time.monotonic()
        self.console.print(f"[bold]{what}[/]: {total} measurements", highlight=False)

    def step(self, what: str) -> None:
        """Say that one step is done, with what came out of it."""
        self.done += 1
        left = (time.monotonic() - self.started) / self.done * (self.total - self.done)
        self.console.print(
            f"  {self.done:4d}/{self.total}  {what}  ({left / 60:.1f} min left)",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip

    def note(self, what: str) -> None:
        """Say something that is no step, such as why something is left out."""
        self.console.print(f"  {what}", highlight=False, markup=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Context:
    """Settings of one run.

    Attributes:
        console: where progress goes.
        scratch: a folder that is removed afterwards.
        cores: who runs where.
        quick: whether only a glance is wanted.
        rounds: how often each thing is measured, interleaved with its rivals.
        seconds: how long one measurement takes.
        versions: other checkouts of the gateway to compare with, by the name they get in the results.
        cells: measures only the proxies' cells in whose description ("null grpc 16 MB x128") this is found.
        engines: measures only these proxies; empty for all.
        progress: tells how far it is.
    """

    console: Console
    scratch: Path
    cores: Cores
    quick: bool
    rounds: int
    seconds: float
    versions: Mapping[str, Path]
    cells: re.Pattern[str]
    engines: frozenset[str]
    progress: Progress
