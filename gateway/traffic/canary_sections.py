"""The part of a route's configuration that says how a new target takes over."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from gateway.section import Count, Pause, Section, Share
from gateway.traffic.mirror_sections import CompareSection

Slower = Annotated[float, Field(gt=0)]


class LatencyGate(Section):
    """How much slower the candidate may be, in percent of the baseline's percentile; null switches one off."""

    p50: Slower | None = Field(10.0, description="Percent by which the median may be higher.")
    p95: Slower | None = Field(10.0, description="Percent by which the 95th percentile may be higher.")
    p99: Slower | None = Field(20.0, description="Percent by which the 99th percentile may be higher.")


class GatesSection(Section):
    """What must hold for a candidate to go on; each is judged against the baseline in the same window."""

    errors: Pause | None = Field(
        0.0, description="Percentage points by which its error rate may be above the baseline's; null: not judged."
    )
    latency: LatencyGate = Field(default_factory=LatencyGate, description="How much slower it may be.")
    agreement: Share | None = Field(
        99.5, description="Least percent of mirrored requests whose answers agree; null: not judged."
    )


class CanarySection(Section):
    """How a new target takes over, step by step, and when it is taken back."""

    candidate: str = Field(description="Name of the target that is to take over; the other one is the baseline.")
    steps: tuple[Annotated[float, Field(gt=0, le=100)], ...] = Field(
        (1.0, 5.0, 25.0, 50.0, 100.0), description="Percent of the requests that the candidate gets, step by step."
    )
    bake_seconds: Pause = Field(300.0, description="How long each step lasts at least.")
    least_requests: Count = Field(300, description="Requests that the candidate must have served in each step.")
    settle_requests: Annotated[int, Field(ge=0)] = Field(
        5, description="First requests of a step in each worker and for each target that are not judged."
    )
    shadow_percent: Share = Field(
        50.0,
        description="Percent of the baseline's requests that the candidate gets a copy of while it is judged: evidence "
        "that no client has to pay for. Needed for the agreement of answers; 0 switches it off.",
    )
    compare: CompareSection = Field(default_factory=CompareSection, description="When two answers agree.")
    gates: GatesSection = Field(default_factory=GatesSection, description="What must hold.")
    false_alarm_percent: Annotated[float, Field(gt=0, le=20)] = Field(
        0.8, description="Most chance in percent that a candidate as good as the baseline is taken back."
    )
    promotion: Literal["automatic", "manual"] = Field(
        "automatic", description="Whether the next step follows by itself, or waits for `canary promote`."
    )

    @field_validator("steps")
    @classmethod
    def _rising(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not value or list(value) != sorted(set(value)) or value[-1] != 100:
            raise ValueError("steps rise, and the last one is 100, for example [1, 5, 25, 50, 100]")
        return value
