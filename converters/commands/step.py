"""One step of a command: its progress is shown, and what goes wrong in it is told with the model and the step."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console

from converters.build.events import Event, StepProgress
from converters.placed import placed
from converters.progress import Display


@dataclass(slots=True)
class Told(StepProgress):
    """A step's progress, and its end."""

    def done(self, detail: str) -> None:
        """Tell that the step is done, and what came out."""
        self.tell(Event(self.model, "done", self.step_name, detail=detail))


@contextmanager
def step(model: str, name: str) -> Iterator[Told]:
    """Around one step; the progress goes to standard error.

    Raises:
        ConversionError: with the model and the step.
    """
    with placed(model, name), _standard_error() as stream:
        display = Display(Console(file=stream))
        told = Told(display.tell, model, name)
        with display.shown():
            told.stage("starting")
            yield told


@contextmanager
def _standard_error() -> Iterator[TextIO]:
    """Standard error as it is now: while exporters are kept from chattering, its descriptor leads nowhere."""
    try:
        descriptor = os.dup(sys.stderr.fileno())
    except io.UnsupportedOperation:  # no real file
        yield sys.stderr
        return
    with os.fdopen(descriptor, "w", encoding=sys.stderr.encoding, errors="replace") as stream:
        yield stream
