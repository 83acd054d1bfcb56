"""The canary of one route: the machine that decides, fed with what was counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gateway.control.canary import machine
from gateway.control.canary.evidence import Evidence, Sample
from gateway.control.canary.state import CanaryState
from gateway.control.traffic.candidates import Standing
from gateway.control.traffic.refusals import NotNow
from gateway.core.errors import InvalidRequest
from gateway.traffic.canary_sections import CanarySection
from gateway.traffic.sections import HUNDRED, RouteSection

_DECIDED = {"advance": "goes on", "promote": "promoted", "roll_back": "rolled back"}
_GONE_SECONDS = 2.0  # for which a candidate is gone before it is taken back: a model that is loaded anew is soon there


class Canary:
    """How a route's candidate takes over.

    Args:
        route: a route that has a canary.
        remembered: what `as_dict` gave; None begins now.
        now: in seconds since 1970.

    Raises:
        ValueError: what is remembered cannot be understood.

    Attributes:
        target: the section of the candidate.
        state: where it is.
        baseline: the target that has the requests before.
        candidate: the target that is to have them.
        says: what was decided last, and that nothing was: why.
    """

    def __init__(self, route: RouteSection, remembered: Mapping[str, Any] | None, now: float) -> None:
        assert route.canary is not None  # noqa: S101 - who asks has looked
        self._section: CanarySection = route.canary
        self._label = route.label
        self.candidate = self._section.candidate
        self.baseline = next(target.label for target in route.targets if target.label != self.candidate)
        self.target = next(target for target in route.targets if target.label == self.candidate)
        self.state = self._waiting(now) if remembered is None else self._recall(remembered)
        self.says = self.state.reason
        self._told = ""  # what was wrong with the candidate when that was last told
        self._gone_since: float | None = None

    @property
    def phase(self) -> str:
        """What it does: waiting, running, paused, promoted, rolled_back or aborted."""
        return self.state.phase

    @property
    def is_under_way(self) -> bool:
        """Whether it has the route's weights, and may change them."""
        return not self.state.is_over

    @property
    def percent(self) -> float:
        """Percent of the requests that the candidate has."""
        return machine.weights(self._section, self.state)

    @property
    def shadow_percent(self) -> float:
        """Percent of the baseline's requests that the candidate has a copy of."""
        return machine.shadow_percent(self._section, self.state)

    @property
    def weights(self) -> dict[str, float]:
        """Percent by target; the candidate comes first."""
        return {self.candidate: self.percent, self.baseline: HUNDRED - self.percent}

    def evidence(self, window: Mapping[str, Any]) -> Evidence:
        """What was counted in the present step, of the counts that processes have reported."""
        variants, shadow = window.get("variants") or {}, f"{self.baseline}~{self.candidate}"
        copies = (window.get("mirrors") or {}).get(shadow) or {}
        compared = (window.get("compared") or {}).get(shadow) or {}
        return Evidence(
            Sample.of(variants.get(self.baseline) or {}),
            Sample.of(variants.get(self.candidate) or {}),
            copies.get("ok", 0),
            copies.get("failed", 0),
            compared.get("agreed", 0),
            compared.get("differed", 0),
        )

    def decide(self, window: Mapping[str, Any], candidate: Standing, now: float) -> str | None:
        """Begin, go on, stay or go back.

        Args:
            window: what was counted in the present step.
            candidate: whether it is loaded.
            now: in seconds since 1970.

        Returns:
            the decision, for people; None if it stays where it is.
        """
        if self.phase == "waiting":
            return self._begin(candidate, now)
        if self.phase != "running":
            return None
        decision = machine.decide(self._section, self.state, self.evidence(window), now)
        if self._is_gone(candidate, now) or (decision.action == "roll_back" and candidate.is_gone):
            why = f"{candidate.name} is not loaded any more" + (f": {candidate.trouble}" if candidate.trouble else "")
            decision = machine.take_back(self._section, self.state, now, why)
        self.state, self.says = decision.state, decision.sentence
        return None if decision.action == "hold" else f"{_DECIDED[decision.action]} {decision.sentence}"

    def _begin(self, candidate: Standing, now: float) -> str | None:
        """Begin once the candidate is loaded; until then, say once what is wrong."""
        if candidate.is_ready:
            self.state = machine.begin(self._section, now)
            self.says = self.state.reason
            return self.says
        trouble = candidate.trouble
        self.says = f"waits until {candidate.name} is loaded" + (f"; now: {trouble}" if trouble else "")
        self.state = machine.wait(self.state.since, self.says)
        if self._told == self.says or (self._told and not trouble):
            return None
        self._told = self.says
        return self.says

    def _is_gone(self, candidate: Standing, now: float) -> bool:
        """Whether the candidate has been gone for a while."""
        if not candidate.is_gone:
            self._gone_since = None
        elif self._gone_since is None or now < self._gone_since:
            self._gone_since = now
        return self._gone_since is not None and now - self._gone_since >= _GONE_SECONDS

    def _waiting(self, now: float) -> CanaryState:
        return machine.wait(now, "waits until its candidate is loaded")

    def operate(self, verb: str, now: float) -> str:
        """Do what an operator asks for.

        Args:
            verb: pause, resume, abort, promote or restart.
            now: in seconds since 1970.

        Returns:
            what was done, for people.

        Raises:
            NotNow: it cannot in its phase; the message says what can be done.
        """
        percent = self.percent
        try:
            self.state, done = self._operated(verb, now)
        except InvalidRequest as error:
            hint = f"`canary restart {self._label}` begins anew" if self.state.is_over else f"it is at {percent:g} %"
            raise NotNow(f"canary of route {self._label!r}: {error.message}; {hint}") from None
        self.says = done
        return done

    def _operated(self, verb: str, now: float) -> tuple[CanaryState, str]:
        section, state, at = self._section, self.state, f"at {self.percent:g} %"
        if verb == "restart":
            self._told = ""
            return self._waiting(now), "begins anew"
        if verb == "promote":
            promoted = machine.promote(section, state, now)
            return promoted, f"promoted {promoted.reason}"
        if verb == "abort":
            return machine.abort(section, state, now), f"aborted {at}: everything goes to {self.baseline}"
        if verb == "pause":
            return machine.pause(section, state, now), f"paused {at}"
        return machine.resume(section, state, now), f"resumed {at}"

    def as_dict(self) -> dict[str, Any]:
        """Its state, to go on from."""
        return self.state.as_dict()

    def summary(self) -> dict[str, Any]:
        """It in short, for programs."""
        return {
            "baseline": self.baseline,
            "candidate": self.candidate,
            "phase": self.phase,
            "step": self.state.step,
            "steps": list(self._section.steps),
            "percent": self.percent,
            "shadow_percent": self.shadow_percent,
            "since": self.state.since,
            "bake_seconds": self._section.bake_seconds,
            "least_requests": self._section.least_requests,
            "promotion": self._section.promotion,
            "says": self.says,
        }

    def _recall(self, remembered: Mapping[str, Any]) -> CanaryState:
        try:
            state = CanaryState.of(remembered)
            running = replace(state, phase="running")
            machine.decide(self._section, running, Evidence(), state.since)  # only to see that it can be gone on from
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from None
        return state
