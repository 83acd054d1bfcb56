"""A canary's decisions: go on, wait, or take the candidate back; pure, the caller has the clock and the evidence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from gateway.control.canary.evidence import Evidence
from gateway.control.canary.gates import Verdict, judge, judged, seen_by
from gateway.control.canary.spending import is_look_due, share_of_gate, share_of_look, share_of_step
from gateway.control.canary.state import CanaryState, Event, Phase
from gateway.core.errors import InvalidRequest
from gateway.traffic.canary_sections import CanarySection

Action = Literal["hold", "begin", "advance", "promote", "roll_back"]

_LAST_GROWTH = 1.05  # before a step ends, gates are looked at again unless the last look was just now


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done.

    Attributes:
        state: what comes after it.
        action: `promote` ends the canary with the candidate in the baseline's place; `hold` changes nothing.
        verdicts: of the last look at each gate.
        sentence: why, short enough for a line of a log; the history has all numbers.
    """

    state: CanaryState
    action: Action
    verdicts: tuple[Verdict, ...]
    sentence: str


def wait(now: float, why: str) -> CanaryState:
    """A new canary whose candidate gets nothing yet.

    Args:
        now: unix seconds.
        why: what it waits for.
    """
    return CanaryState("waiting", 0, now, "", reason=why)


def begin(section: CanarySection, now: float) -> CanaryState:
    """A canary at its first step.

    Args:
        section: the route's.
        now: unix seconds.
    """
    reason = f"begins with {section.steps[0]:g} %"
    return CanaryState("running", 0, now, _epoch(now, 0), reason=reason, history=(Event(now, 0.0, "begin", reason),))


def weights(section: CanarySection, state: CanaryState) -> float:
    """Percent of the requests that the candidate gets; the baseline gets the others."""
    if state.is_over or state.phase == "waiting":
        return 100.0 if state.phase == "promoted" else 0.0
    return section.steps[min(state.step, len(section.steps) - 1)]


def shadow_percent(section: CanarySection, state: CanaryState) -> float:
    """Percent of the baseline's requests that the candidate gets a copy of."""
    return section.shadow_percent if state.phase == "running" and weights(section, state) < 100 else 0.0


def decide(section: CanarySection, state: CanaryState, evidence: Evidence, now: float) -> Decision:
    """What the evidence says; cheap enough to be asked every second.

    Args:
        section: the route's.
        state: as the last decision left it.
        evidence: of the window that `state.epoch` names.
        now: unix seconds.
    """
    if state.phase != "running":
        return Decision(state, "hold", state.verdicts, f"{state.phase}: {state.reason}")
    if now < state.since:  # the clock was set back
        state = replace(state, since=now)
    missing = _missing(section, state, evidence, now)
    state = _look(section, state, evidence, is_last=not missing)
    failed = [verdict for verdict in state.verdicts if verdict.outcome == "fail"]
    if failed:
        worst = min(failed, key=lambda verdict: verdict.surprise)
        others = ", ".join(verdict.gate for verdict in failed if verdict is not worst)
        why = worst.sentence + (f"; and so {others}" if others else "")
        return _decided(section, state, "roll_back", now, why)
    waiting = [
        verdict.brief
        for verdict in state.verdicts
        if verdict.outcome == "wait" and (verdict.chance is not None or not missing)
    ]
    if missing or waiting:
        return Decision(state, "hold", state.verdicts, "; ".join(filter(None, (missing, *waiting))))
    seen = (f"{evidence.candidate.served:,} requests", *(verdict.brief for verdict in state.verdicts))
    why = ", ".join(seen)
    if section.promotion == "manual":
        return Decision(state, "hold", state.verdicts, f"waits for `canary promote`: {why}")
    is_last = state.step >= len(section.steps) - 1
    return _decided(section, state, "promote" if is_last else "advance", now, why)


def take_back(section: CanarySection, state: CanaryState, now: float, why: str) -> Decision:
    """Take the candidate back for a reason that is not in the numbers."""
    return _decided(section, state, "roll_back", now, why)


def promote(section: CanarySection, state: CanaryState, now: float, *, fully: bool = False) -> CanaryState:
    """What an operator asks for: the next step, whatever the gates say; after the last one, or `fully`, the end.

    One that waits for its candidate begins.

    Raises:
        InvalidRequest: it is over.
    """
    _refuse_unless(state, "promoted", "waiting", "running", "paused")
    if state.phase == "waiting" and not fully:
        return begin(section, now)
    is_last = fully or state.step >= len(section.steps) - 1
    action: Action = "promote" if is_last else "advance"
    return _decided(section, state, action, now, "asked for by an operator").state


def pause(section: CanarySection, state: CanaryState, now: float) -> CanaryState:
    """The candidate keeps its share, and nothing is decided until `resume`.

    Raises:
        InvalidRequest: it does not run.
    """
    _refuse_unless(state, "paused", "running")
    return _changed(section, replace(state, phase="paused", paused_at=now), "pause", now)


def resume(section: CanarySection, state: CanaryState, now: float) -> CanaryState:
    """It goes on where it was; the pause does not count towards the time that the step has to last.

    Raises:
        InvalidRequest: it is not paused.
    """
    _refuse_unless(state, "resumed", "paused")
    paused = max(0.0, now - (now if state.paused_at is None else state.paused_at))
    running = replace(state, phase="running", paused_at=None, since=state.since + paused)
    return _changed(section, running, "resume", now)


def abort(section: CanarySection, state: CanaryState, now: float) -> CanaryState:
    """All requests go to the baseline again.

    Raises:
        InvalidRequest: it is over.
    """
    _refuse_unless(state, "aborted", "waiting", "running", "paused")
    return replace(_changed(section, state, "abort", now), phase="aborted", epoch="", paused_at=None)


def _missing(section: CanarySection, state: CanaryState, evidence: Evidence, now: float) -> str:
    """What the step still lacks, gates aside."""
    baked, served = now - state.since, evidence.candidate.served
    lacks = []
    if baked < section.bake_seconds:
        lacks.append(f"{max(0.0, baked):.0f} of {section.bake_seconds:g} seconds")
    if served < section.least_requests:
        lacks.append(f"{served} of {section.least_requests} requests")
    return " and ".join(lacks)


def _look(section: CanarySection, state: CanaryState, evidence: Evidence, *, is_last: bool) -> CanaryState:
    """The state after a look at each gate that has seen enough since its last one.

    Before the step ends (`is_last`) there is one in any case, unless there was one just now. A gate that has too little
    to be judged has not been looked at: nothing of its budget is spent.
    Where evidence was lost (data workers were started anew) what is left is looked at as if for the first time.
    """
    gates = judged(section, weights(section, state))
    budget = section.false_alarm_percent / 100 * share_of_step(state.step, sum(step < 100 for step in section.steps))
    known = {verdict.gate: verdict for verdict in state.verdicts}
    looked, verdicts = {}, []
    copied = section.shadow_percent > 0
    for gate in gates:
        seen = seen_by(gate, evidence)
        before, verdict = min(state.looked.get(gate, 0), seen), known.get(gate)
        if verdict is None or is_look_due(before, seen) or (is_last and seen > _LAST_GROWTH * before):
            needed = budget * share_of_gate(gate, gates) * share_of_look(gate, before, seen, copied=copied)
            verdict = judge(gate, section, evidence, needed)
            before = before if verdict.chance is None else seen
        looked[gate] = before
        verdicts.append(verdict)
    return replace(state, looked=looked, verdicts=tuple(verdicts))


def _decided(section: CanarySection, state: CanaryState, action: Action, now: float, why: str) -> Decision:
    """The state after an action that ends the present step."""
    percent = weights(section, state)
    seen = "".join(f"; {verdict.sentence}" for verdict in state.verdicts if verdict.sentence not in why)
    history = state.remembering(Event(now, percent, action, f"{why}{seen}"))
    if action == "advance":
        step = state.step + 1
        reason = f"from {percent:g} % to {section.steps[step]:g} %: {why}"
        after = CanaryState("running", step, now, _epoch(now, step), reason=reason, history=history)
    else:
        phase: Phase = "promoted" if action == "promote" else "rolled_back"
        after = replace(
            state, phase=phase, epoch="", paused_at=None, reason=f"at {percent:g} %: {why}", history=history
        )
    return Decision(after, action, state.verdicts, after.reason)


def _changed(section: CanarySection, state: CanaryState, action: str, now: float) -> CanaryState:
    reason = "asked for by an operator"
    event = Event(now, weights(section, state), action, reason)
    return replace(state, reason=reason, history=state.remembering(event))


def _refuse_unless(state: CanaryState, wanted: str, *phases: Phase) -> None:
    if state.phase not in phases:
        raise InvalidRequest(
            f"a canary that is {state.phase.replace('_', ' ')} cannot be {wanted}; {' or '.join(phases)} is needed"
        )


def _epoch(now: float, step: int) -> str:
    return f"{now * 1000:.0f}.{step}"
