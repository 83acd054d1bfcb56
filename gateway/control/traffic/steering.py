"""One route as control steers it: its weights by hand or by its canary, and what is counted meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from gateway.control.traffic.canaries import Canary
from gateway.control.traffic.candidates import Standing
from gateway.control.traffic.refusals import NotNow, NotThere, Refused
from gateway.control.traffic.reports import Tally, window
from gateway.control.traffic.state import Change, RouteState
from gateway.control.traffic.weights import checked, configured, told
from gateway.traffic.sections import RouteSection, TargetSection
from gateway.traffic.snapshot import Override

CANARY = "canary"
"""Who did what the numbers decided."""


class By(NamedTuple):
    """Who does something, why, and when (seconds since 1970)."""

    who: str
    why: str
    at: float


class Steered:
    """A route.

    Args:
        section: as it is configured.
        state: what is remembered of it; None begins anew.
        now: in seconds since 1970.

    Raises:
        ValueError: what is remembered cannot be understood.

    Attributes:
        canary: how its new target takes over; None if it has no canary.
        counted: what was counted since the epoch began.
    """

    def __init__(self, section: RouteSection, state: RouteState | None, now: float) -> None:
        self.section = section
        self.state = state or RouteState(of=section.digest)
        self.counted = Tally(self.state.counted)
        self.canary: Canary | None = None
        if self.state.weights:
            self.state.weights = _remembered(section, self.state.weights)
        if section.canary is not None:
            self.canary = Canary(section, self.state.canary, now)

    @property
    def weights(self) -> dict[str, float]:
        """Percent by target, as it is now."""
        return self.state.weights or self._weights_without_hand

    @property
    def _weights_without_hand(self) -> dict[str, float]:
        return self.canary.weights if self.canary is not None else configured(self.section)

    @property
    def is_decided(self) -> bool:
        """Whether anything was decided beside the configuration."""
        return self.canary is not None or bool(self.state.history)

    @property
    def override(self) -> Override:
        """What differs from the configuration."""
        if self.canary is None:
            return Override(self.state.of, self.state.weights, self.state.epoch)
        shadow = 0.0 if self.state.weights else self.canary.shadow_percent
        return Override(self.state.of, self.weights, self.state.epoch, shadow)

    def remembered(self) -> RouteState:
        """Its state, for the file."""
        self.state.canary = self.canary.as_dict() if self.canary is not None else None
        self.state.counted = self.counted.as_dict()
        return self.state

    def hear(self, report: Mapping[str, Any]) -> None:
        """Count what a process reports of the epoch."""
        if self.state.epoch:
            counts = window(report, self.section.label, self.state.epoch)
            if counts is not None:
                self.counted.hear_window(report["life"], counts)

    # ---- weights by hand

    def set_weights(self, weights: Mapping[str, float], by: By) -> str:
        """Set the weights by hand.

        Returns:
            what was done, for people.

        Raises:
            Refused: they do not fit, or the canary has the weights.
        """
        wanted = checked(self.section, weights)
        if self.canary is not None and self.canary.is_under_way:
            label = self.section.label
            raise NotNow(
                f"the weights of route {label!r} are its canary's, which is {self.canary.phase}; end it by "
                f"`canary abort {label}`, or take its next step by `canary promote {label}`"
            )
        if wanted == self.weights:
            return f"weights are {told(wanted)} already"
        return self._set(wanted, "set to", by)

    def rollback(self, by: By) -> str:
        """Have the weights as they were before the last change that was not rolled back yet; of a canary, take it back.

        Another one goes further back, and never to what was just left: who rolls back wants to be rid of something.

        Returns:
            what was done, for people.

        Raises:
            NotNow: there is nothing to roll back.
        """
        if self.canary is not None and self.canary.is_under_way:
            return self.operate("abort", by)
        place = self._last_change()
        if place is None:
            raise NotNow(
                f"no weights of route {self.section.label!r} were changed, or all changes were rolled back; "
                f"there is nothing to roll back; set weights by `traffic set {self.section.label} TARGET=PERCENT ...`"
            )
        left, history = told(self.weights), self.state.history
        return self._set(history[place].before, "rolled back to", by, len(history) - place, f", from {left}")

    def _last_change(self) -> int | None:
        """The place in the history of the last change that is not rolled back and had changed weights."""
        history, place = self.state.history, len(self.state.history) - 1
        while place >= 0:
            change = history[place]
            if change.undoes:
                place -= change.undoes
            elif (change.before or self._weights_without_hand) != self.weights:
                return place
            place -= 1
        return None

    def _set(self, weights: dict[str, float], how: str, by: By, undoes: int = 0, rest: str = "") -> str:
        before, self.state.weights = self.state.weights, weights
        what = f"weights {how} {told(self.weights)}{rest}"
        self.state.note(Change(by.at, by.who, what, by.why, before, undoes))
        self._measure(by.at)
        return what

    # ---- its canary

    def with_canary(self) -> Canary:
        """Its canary.

        Raises:
            NotThere: it has none.
        """
        if self.canary is None:
            raise NotThere(f"route {self.section.label!r} has no canary; give it one by `canary:` in the configuration")
        return self.canary

    def decide(self, candidate: Callable[[TargetSection], Standing], now: float) -> str | None:
        """Have the canary begin, go on, stay or go back, as the numbers say.

        Args:
            candidate: tells whether a target is loaded.
            now: in seconds since 1970.

        Returns:
            the decision, for people; None if everything stays as it is.
        """
        if self.canary is None or not self.canary.is_under_way or self.state.weights:
            return None
        decision = self.canary.decide(self.counted.total(), candidate(self.canary.target), now)
        return self._note(decision, By(CANARY, "", now)) if decision else None

    def operate(self, verb: str, by: By) -> str:
        """Pause, resume, abort, promote or restart the canary.

        Returns:
            what was done, for people.

        Raises:
            NotThere: the route has no canary.
            NotNow: that cannot be done in the phase that it is in.
        """
        done = self.with_canary().operate(verb, by.at)
        if verb == "restart":
            self.state.weights = {}
        return self._note(done, by)

    def _note(self, what: str, by: By) -> str:
        """Remember what the canary did; a rollback of it is what was before it began."""
        self.state.note(Change(by.at, by.who, what, by.why, configured(self.section)))
        self._measure(by.at)
        return what

    def _measure(self, now: float) -> None:
        """Count in the window that holds now: the canary's own, or since the weights were set by hand."""
        if self.canary is not None and not self.state.weights:
            epoch = self.canary.state.epoch
        else:
            self.state.windows += 1
            epoch = f"{now * 1000:.0f}/{self.state.windows}"
        if epoch == self.state.epoch:
            return
        self.state.epoch = epoch
        if epoch:  # or what was counted last stays to be looked at
            self.state.since, self.counted = now, Tally()


def _remembered(section: RouteSection, weights: Mapping[str, float]) -> dict[str, float]:
    try:
        return checked(section, weights)
    except Refused as error:
        raise ValueError(error.message) from None
