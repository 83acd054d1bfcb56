"""How far a canary is: an immutable value that outlives the control process as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from gateway.control.canary.gates import Verdict

Phase = Literal["waiting", "running", "paused", "promoted", "rolled_back", "aborted"]

_MOST_EVENTS = 100


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was decided.

    Attributes:
        at: unix seconds.
        percent: of the requests that the candidate had until then.
        action: begin, advance, promote, roll_back, pause, resume or abort.
        sentence: why, with all numbers.
    """

    at: float
    percent: float
    action: str
    sentence: str


@dataclass(frozen=True, slots=True)
class CanaryState:
    """Where it is.

    Attributes:
        phase: waiting gives the candidate nothing until it is loaded, paused keeps its share and decides nothing; the
            last three are final.
        step: index of the present step.
        since: unix seconds when the present step began, later by all pauses since.
        epoch: names the window that evidence is collected in; every step has its own. Empty when it is over.
        paused_at: unix seconds; None unless paused.
        looked: what each gate had seen of this step at its last look; without those that were not judged yet.
        verdicts: of the last look at each gate.
        reason: why it is in its phase.
        history: what was decided, oldest first; the last hundred.
    """

    phase: Phase
    step: int
    since: float
    epoch: str
    paused_at: float | None = None
    looked: Mapping[str, int] = field(default_factory=dict)
    verdicts: tuple[Verdict, ...] = ()
    reason: str = ""
    history: tuple[Event, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return self.phase not in {"waiting", "running", "paused"}

    def remembering(self, event: Event) -> tuple[Event, ...]:
        """The history with one more event."""
        return (*self.history, event)[-_MOST_EVENTS:]

    def as_dict(self) -> dict[str, Any]:
        """The same, as JSON has it."""
        told = asdict(self)
        return told | {"verdicts": list(told["verdicts"]), "history": list(told["history"])}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> CanaryState:
        """Read what `as_dict` gave.

        Raises:
            KeyError, TypeError: it is something else.
        """
        verdicts = tuple(Verdict.of(verdict) for verdict in told["verdicts"])
        history = tuple(Event(**event) for event in told["history"])
        return cls(**{**told, "verdicts": verdicts, "history": history})
