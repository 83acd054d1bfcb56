"""The gates that a candidate has to pass, each with the numbers that it was judged by; pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

from gateway.control.canary.evidence import Evidence
from gateway.control.canary.statistics import Counts, binomial, fisher, median_test, quantile_test
from gateway.traffic.canary_sections import CanarySection, GatesSection
from gateway.traffic.latency import percentile, seconds_of

Outcome = Literal["pass", "fail", "wait"]

_LATENCIES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
_LOG_OF_A_BIN = math.log(seconds_of(1) / seconds_of(0))
_ENOUGH = 10  # requests below which nothing is judged
_DOUBTFUL = 0.05  # p-value below which a candidate that looks worse needs more requests before it goes on
_LEAST_CHANCE, _PLAIN_CHANCE = 1e-300, 1e-3
_BEYOND = 0.2  # p-value, for a candidate that is just as bad as is allowed, above which none is taken back


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one gate says.

    Attributes:
        gate: errors, p50, p95, p99 or agreement.
        outcome: `wait` says that there are too few requests: to judge at all, or to tell a bad candidate from bad luck.
        sentence: what was seen, with all numbers.
        chance: the p-value; None if nothing was judged.
        needed: how small it has to be for the gate to fail.
        brief: what was seen, in a few words.
    """

    gate: str
    outcome: Outcome
    sentence: str
    chance: float | None = None
    needed: float = 0.0
    brief: str = ""

    @property
    def surprise(self) -> float:
        """How much less than needed the p-value is: 1 is just enough, and the smaller the worse the candidate."""
        return (self.chance or 0.0) / self.needed if self.needed else 0.0

    def as_dict(self) -> dict[str, Any]:
        """The same, as JSON has it."""
        return asdict(self)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Verdict:
        """Read what `as_dict` gave."""
        return cls(told["gate"], told["outcome"], told["sentence"], told["chance"], told["needed"], told["brief"])


def judged(section: CanarySection, percent: float) -> tuple[str, ...]:
    """The gates that are judged while the candidate has `percent` of the requests: with all of them, none."""
    if percent >= 100:
        return ()
    gates = section.gates
    wanted = {
        "errors": gates.errors is not None,
        **{name: getattr(gates.latency, name) is not None for name in _LATENCIES},
        "agreement": gates.agreement is not None and section.shadow_percent > 0,
    }
    return tuple(gate for gate, is_judged in wanted.items() if is_judged)


def seen_by(gate: str, evidence: Evidence) -> int:
    """How much of the candidate a gate has seen: requests, with copies where they count, or pairs of answers."""
    return _sizes(gate, evidence)[0]


def judge(gate: str, section: CanarySection, evidence: Evidence, needed: float) -> Verdict:
    """What a gate says.

    Args:
        gate: one of `judged`.
        section: what is allowed.
        evidence: of the present window.
        needed: how small the p-value has to be for the gate to fail.
    """
    enough = min(_ENOUGH, section.least_requests)
    seen, beside = _sizes(gate, evidence)
    if min(seen, beside) < enough:
        what = "pairs of answers" if gate == "agreement" else f"requests and {beside:,} of the baseline's"
        sentence = f"{gate}: {seen:,} {what}, needs {enough}"
        return Verdict(gate, "wait", sentence, brief=sentence)
    if gate == "errors":
        seen_so = _errors(section.gates, evidence)
    elif gate == "agreement":
        seen_so = _agreement(section.gates, evidence)
    else:
        seen_so = _latency(gate, section.gates, evidence)
    return _verdict(gate, seen_so, needed)


class _Seen(NamedTuple):
    """The numbers of a gate: whether it exceeds what is allowed, the chance if it is no worse, and if just allowed."""

    is_beyond: bool
    chance: float
    chance_if_allowed: float
    sentence: str
    brief: str


def _verdict(gate: str, seen: _Seen, needed: float) -> Verdict:
    outcome: Outcome = "pass"
    if seen.is_beyond and seen.chance < _DOUBTFUL:
        outcome = "fail" if seen.chance <= needed and seen.chance_if_allowed <= _BEYOND else "wait"
    luck = f"by luck: {_chance(seen.chance)}, alarm from {_chance(needed)} down"
    if seen.is_beyond and seen.chance_if_allowed != seen.chance:
        luck += f"; if it were just as bad as is allowed: {_chance(seen.chance_if_allowed)}, from {_BEYOND:g} down"
    brief = seen.brief + (" looks worse, but may be luck: needs more requests" if outcome == "wait" else "")
    return Verdict(gate, outcome, f"{gate}: {seen.sentence} ({luck})", seen.chance, needed, brief)


def _chance(chance: float) -> str:
    """A chance for people: the smallest numbers say nothing but that they are small."""
    if chance < _LEAST_CHANCE:
        return f"below {_LEAST_CHANCE:.0e}"
    return f"{chance:.2g}" if chance >= _PLAIN_CHANCE else f"{chance:.1e}"


def _sizes(gate: str, evidence: Evidence) -> tuple[int, int]:
    """What there is of the candidate, and of the baseline beside it."""
    if gate in _LATENCIES:
        return sum(evidence.candidate.latency.values()), sum(evidence.baseline.latency.values())
    if gate == "agreement":
        return evidence.compared, evidence.compared
    return evidence.candidate.served + evidence.shadowed, evidence.baseline.served


def _errors(gates: GatesSection, evidence: Evidence) -> _Seen:
    """The candidate's, towards clients and at copies, against the baseline's."""
    failed, total = evidence.candidate.failed + evidence.shadow_failed, evidence.candidate.served + evidence.shadowed
    before = evidence.baseline
    share, usual, allowed = 100 * failed / total, 100 * before.failed / before.served, gates.errors or 0.0
    chance = fisher(Counts(failed, total), Counts(before.failed, before.served))
    copies = f" ({evidence.shadowed:,} of them copies)" if evidence.shadowed else ""
    sentence = (
        f"{failed:,} of {total:,} requests fail{copies} and {before.failed:,} of the baseline's {before.served:,}, "
        f"{share:.3g} % against {usual:.3g} %, allowed {allowed:g} points more"
    )
    beyond = binomial(Counts(failed, total), (usual + allowed) / 100) if allowed else chance
    return _Seen(share - usual > allowed, chance, beyond, sentence, f"errors {share:.3g} % against {usual:.3g} %")


def _latency(gate: str, gates: GatesSection, evidence: Evidence) -> _Seen:
    """What clients waited for the candidate, against what they waited for the baseline."""
    mine, usual = evidence.candidate.latency, evidence.baseline.latency
    share, allowed = _LATENCIES[gate], getattr(gates.latency, gate)
    seconds, before = percentile(mine, share), percentile(usual, share)
    slower = 100 * (seconds / before - 1)
    at_most = _slowed(usual, allowed)
    if gate == "p50":
        chance = median_test(mine, usual)
        beyond = median_test(mine, at_most) if slower > allowed else 1.0
    else:
        chance = beyond = quantile_test(mine, at_most, share)
    differs = f"{abs(slower):.1f} % {'slower' if slower > 0 else 'faster'}"
    sentence = (
        f"{_told(seconds)} against {_told(before)}, {differs}, allowed {allowed:g} %, "
        f"{sum(mine.values()):,} and {sum(usual.values()):,} requests"
    )
    return _Seen(slower > allowed, chance, beyond, sentence, f"{gate} {slower:+.1f} %")


def _told(seconds: float) -> str:
    milliseconds = 1000 * seconds
    return f"{milliseconds:.1f} ms" if milliseconds >= 10 else f"{milliseconds:.3g} ms"


def _slowed(histogram: Mapping[int, int], percent: float) -> Mapping[int, int]:
    """As if everything had taken so many percent longer."""
    bins = math.ceil(math.log1p(percent / 100) / _LOG_OF_A_BIN)
    return {number + bins: count for number, count in histogram.items()}


def _agreement(gates: GatesSection, evidence: Evidence) -> _Seen:
    """How many of the candidate's answers to copies agree with those that clients got, against what is allowed."""
    differed, compared, allowed = evidence.differed, evidence.compared, gates.agreement or 0.0
    share = 100 * evidence.agreed / compared
    chance = binomial(Counts(differed, compared), 1 - allowed / 100)
    sentence = (
        f"{differed:,} of {compared:,} answers differ, {100 - share:.3g} % where at most {100 - allowed:.3g} % may"
    )
    return _Seen(share < allowed, chance, chance, sentence, f"agreement {share:.2f} %")
