"""How far a builder is, and how Ctrl-C reaches it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from converters.engines.base import Progress

STEPS = 100
"""How many steps the stage of building has: percent."""


@dataclass(slots=True)
class _Phase:
    name: str
    steps: int
    done: int = 0
    child: _Phase | None = None

    def share(self) -> float:
        """How much of it is done, from 0 to 1."""
        inside = self.child.share() if self.child is not None else 0.0
        return min(1.0, (self.done + inside) / self.steps)


@dataclass(slots=True)
class Tracker:
    """Turns the builder's nested phases into one bar that never goes back, and remembers what ended the build.

    Attributes:
        progress: is told.
        ended_by: what was raised while the builder was asking, such as KeyboardInterrupt; to be raised again.
    """

    progress: Progress
    ended_by: BaseException | None = None
    _root: _Phase | None = None
    _phases: dict[str, _Phase] = field(default_factory=dict)
    _told: int = -1

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase begins."""
        phase = _Phase(name, max(1, steps))
        self._phases[name] = phase
        outer = self._phases.get(parent) if parent else None
        if outer is not None:
            outer.child = phase
        elif self._root is None:
            self._root = phase
        self._tell()

    def step(self, name: str, step: int) -> None:
        """A step of a phase, counted from 0, is done."""
        phase = self._phases.get(name)
        if phase is not None:
            phase.done = max(phase.done, step + 1)
            phase.child = None
        self._tell()

    def finish(self, name: str) -> None:
        """A phase is over, also where not all its steps were needed."""
        phase = self._phases.pop(name, None)
        if phase is not None:
            phase.done, phase.child = phase.steps, None
        self._tell()

    def _tell(self) -> None:
        percent = int(STEPS * self._root.share()) if self._root is not None else 0
        if percent > self._told:
            self._told = percent
            self.progress.step(percent)


def monitor_of(trt: Any, tracker: Tracker) -> Any:
    """A progress monitor of the library.

    An exception must not leave it (the library would print it and go on): it is kept in the tracker, and the builder is
    told to stop at its next step.
    """

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # the library has no types
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._guarded(tracker.start, phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._guarded(tracker.step, phase_name, step)
            return tracker.ended_by is None

        def phase_finish(self, phase_name: str) -> None:
            self._guarded(tracker.finish, phase_name)

        def _guarded(self, function: Any, *arguments: Any) -> None:
            try:
                if tracker.ended_by is None:
                    function(*arguments)
            except BaseException as error:  # Ctrl-C too; raised again once the builder has stopped
                tracker.ended_by = error

    return Monitor()
