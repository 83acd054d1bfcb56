"""What the embedded Triton tells about itself: its status now, and an event at every change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from gateway.repository.site import ModelState as ModelState  # noqa: PLC0414 - belongs to what is told here
from gateway.repository.site import SiteModel


class State(StrEnum):
    """The server as a whole."""

    STARTING = "starting"
    READY = "ready"  # it answers, and every model is either loaded or known to have failed
    RESTARTING = "restarting"
    STOPPED = "stopped"
    FAILED = "failed"  # it never came up; nothing is tried any more


class EventKind(StrEnum):
    """What happened."""

    LAUNCHED = "launched"
    LIVE = "live"
    READY = "ready"  # every model is loaded, or known to have failed
    MODEL_LOADING = "model loading"
    MODEL_READY = "model ready"
    MODEL_FAILED = "model failed"
    MODEL_HEALING = "model healing"
    MODEL_HEALED = "model healed"
    MODEL_UNLOADED = "model unloaded"
    DIED = "died"
    RESTARTING = "restarting"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Event:
    """One change.

    Attributes:
        kind: what happened.
        model: the model it happened to, or None when it concerns the whole server.
        message: the cause of a failure or of a death, with the end of Triton's log where that says more.
        seconds: how long it took; for `RESTARTING` how long until the next try.
    """

    kind: EventKind
    model: str | None = None
    message: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class TritonStatus:
    """A picture of the embedded Triton at one moment.

    Attributes:
        state: the server as a whole.
        pid: tritonserver's process id, or None while there is none.
        restarts: how often it was started again after a death.
        heals: how often a model was brought back after one of its backend processes died.
        log_file: where Triton's own log is.
        models: every model that was asked for, by name.
    """

    state: State
    pid: int | None
    restarts: int
    heals: int
    log_file: str
    models: Mapping[str, SiteModel]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values that `json.dumps` takes."""
        return asdict(self)
