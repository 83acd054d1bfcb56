"""Shows what a build does: live bars on a terminal; elsewhere a line a step, and one now and then while it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event as Flag
from threading import Thread

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from converters.build.events import Event

_MARKS = {"done": "[green]✓[/]", "cached": "[dim]=[/]", "failed": "[red]✗[/]"}
_FIRST_SECONDS, _MOST_SECONDS = 2.0, 60.0  # between the lines on one step; each wait is twice as long as the one before


@dataclass(slots=True)
class _AtWork:
    """What a model is at, where nothing but lines can be shown."""

    step: str
    since: float
    due: float
    wait: float = _FIRST_SECONDS
    text: str = ""


@dataclass(slots=True)
class Display:
    """What happened goes above, what is going on stays below; without a terminal, long steps are told now and then."""

    console: Console
    clock: Callable[[], float] = time.monotonic
    _bars: Progress = field(init=False)
    _tasks: dict[str, TaskID] = field(default_factory=dict)
    _at_work: dict[str, _AtWork] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._bars = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn(),
            console=self.console, transient=True, disable=not self.console.is_terminal,
        )  # fmt: skip

    @contextmanager
    def shown(self) -> Iterator[None]:
        """The bars are there inside, or else the reminders."""
        with self._bars, self._reminded():
            yield

    def tell(self, event: Event) -> None:
        """Show an event."""
        if event.state == "works":
            self._works(event)
            return
        self._at_work.pop(event.model, None)
        if not event.step:
            self._finish(event.model)
        step = f" {escape(event.step)}" if event.step else ""
        detail = f"  [dim]{escape(event.detail)}[/]" if event.state != "failed" else f": {escape(event.detail)}"
        self.console.print(f"{_MARKS[event.state]} [bold]{escape(event.model)}[/]{step}{detail}", soft_wrap=True)

    def remind(self) -> None:
        """A line for each model that nothing was said of for long."""
        now = self.clock()
        for work in list(self._at_work.values()):
            if now >= work.due:
                work.wait = min(2 * work.wait, _MOST_SECONDS)
                work.due = now + work.wait
                self.console.print(f"  {work.text}, {now - work.since:.0f} s", soft_wrap=True, highlight=False)

    @contextmanager
    def _reminded(self) -> Iterator[None]:
        """Frameworks tell nothing while they convert, so it takes a thread of its own to say that they are at it."""
        ended = Flag()

        def work() -> None:
            while not ended.wait(0.5):
                self.remind()

        thread = Thread(target=work, name="reminder", daemon=True)
        if not self.console.is_terminal:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            if thread.ident is not None:
                thread.join()

    def _works(self, event: Event) -> None:
        words = ", ".join(each for each in (event.stage, event.detail) if each)
        text = f"[bold]{escape(event.model)}[/] {escape(event.step)}" + (f": {escape(words)}" if words else "")
        if not self.console.is_terminal:
            now = self.clock()
            known = self._at_work.get(event.model)
            if known is None or known.step != event.step:
                known = self._at_work[event.model] = _AtWork(event.step, now, now + _FIRST_SECONDS)
            known.text = text + (f" {100 * event.done // event.total} %" if event.total else "")
            return
        if event.model not in self._tasks:
            self._tasks[event.model] = self._bars.add_task(text, total=None)
        self._bars.update(self._tasks[event.model], description=text, completed=event.done, total=event.total or None)

    def _finish(self, model: str) -> None:
        task = self._tasks.pop(model, None)
        if task is not None:
            self._bars.remove_task(task)
