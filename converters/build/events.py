"""What a build tells while it works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened to a model.

    Attributes:
        model: its name.
        state: "works" on a step, has "done" it, found it "cached", or reports a "failed" one.
        step: such as "int8" or "engine int8 rtx"; empty for the model as a whole.
        stage: a part of the step, such as "calibrating".
        done, total: of the stage; total is 0 where it is not known.
        detail: for people: what came out, or what went wrong.
    """

    model: str
    state: Literal["works", "done", "cached", "failed"]
    step: str
    stage: str = ""
    done: int = 0
    total: int = 0
    detail: str = ""


Listener: TypeAlias = Callable[[Event], None]


@dataclass(slots=True)
class StepProgress:
    """A step's progress, told to a listener; what engine builders and verification are given."""

    tell: Listener
    model: str
    step_name: str
    _stage: str = ""
    _total: int = 0

    def stage(self, name: str, total: int | None = None) -> None:
        """A stage begins, with so many steps if that is known."""
        self._stage, self._total = name, total or 0
        self.step(0)

    def step(self, done: int) -> None:
        """So many steps of the stage are done."""
        self.tell(Event(self.model, "works", self.step_name, self._stage, done, self._total))
