"""What was counted of a canary's requests since its present step began; sums over data workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Sample:
    """Requests that one target has served to clients.

    Attributes:
        ok: how many were answered.
        failed: how many failed.
        latency: how many fell into each bin of `gateway.traffic.latency`.
    """

    ok: int = 0
    failed: int = 0
    latency: Mapping[int, int] = field(default_factory=dict)

    @property
    def served(self) -> int:
        """All of them."""
        return self.ok + self.failed

    def __add__(self, other: Sample) -> Sample:
        """Both together."""
        latency = dict(self.latency)
        for number, count in other.latency.items():
            latency[number] = latency.get(number, 0) + count
        return Sample(self.ok + other.ok, self.failed + other.failed, latency)

    def as_dict(self) -> dict[str, Any]:
        """The same, as JSON has it."""
        latency = {str(number): count for number, count in sorted(self.latency.items())}
        return {"ok": self.ok, "failed": self.failed, "latency": latency}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Sample:
        """Read what `as_dict` gave, or what a data worker reports of one target."""
        latency = {int(number): int(count) for number, count in told.get("latency", {}).items()}
        return cls(int(told.get("ok", 0)), int(told.get("failed", 0)), latency)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known of the present window; both targets have been served in it side by side.

    Attributes:
        baseline: what it has served.
        candidate: what it has served.
        shadow_ok: copies of the baseline's requests that the candidate has answered; no client saw the answers.
        shadow_failed: copies at which it failed.
        agreed: pairs of answers, to a request and its copy, that agree.
        differed: pairs that do not.
    """

    baseline: Sample = field(default_factory=Sample)
    candidate: Sample = field(default_factory=Sample)
    shadow_ok: int = 0
    shadow_failed: int = 0
    agreed: int = 0
    differed: int = 0

    @property
    def shadowed(self) -> int:
        """Copies in all."""
        return self.shadow_ok + self.shadow_failed

    @property
    def compared(self) -> int:
        """Pairs of answers in all."""
        return self.agreed + self.differed

    def __add__(self, other: Evidence) -> Evidence:
        """Both together."""
        return Evidence(
            self.baseline + other.baseline,
            self.candidate + other.candidate,
            self.shadow_ok + other.shadow_ok,
            self.shadow_failed + other.shadow_failed,
            self.agreed + other.agreed,
            self.differed + other.differed,
        )

    def as_dict(self) -> dict[str, Any]:
        """The same, as JSON has it."""
        return {
            "baseline": self.baseline.as_dict(),
            "candidate": self.candidate.as_dict(),
            "shadow_ok": self.shadow_ok,
            "shadow_failed": self.shadow_failed,
            "agreed": self.agreed,
            "differed": self.differed,
        }

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Evidence:
        """Read what `as_dict` gave."""
        counts = (int(told.get(name, 0)) for name in ("shadow_ok", "shadow_failed", "agreed", "differed"))
        return cls(Sample.of(told.get("baseline", {})), Sample.of(told.get("candidate", {})), *counts)
