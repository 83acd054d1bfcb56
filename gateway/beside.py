"""What the launcher tells its children beside the configuration."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.config import Config
from gateway.places import Places
from gateway.traffic.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Beside:
    """What holds for this run.

    Attributes:
        places: where things are kept.
        decided: what control has decided about traffic.
    """

    places: Places
    decided: Snapshot

    @classmethod
    def first(cls, config: Config) -> Beside:
        """What holds before control has said anything."""
        return cls(Places.of(config, os.environ), Snapshot())

    def as_dict(self) -> dict[str, Any]:
        """The same, as JSON has it."""
        places = {name: str(getattr(self.places, name)) for name in ("state", "reports", "tap")}
        return {"places": places, "decided": self.decided.as_dict()}

    @classmethod
    def of(cls, told: dict[str, Any]) -> Beside:
        """Read what `as_dict` gave."""
        places = {name: Path(path) for name, path in told["places"].items()}
        return cls(Places(**places), Snapshot.of(told["decided"]))
