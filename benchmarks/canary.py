"""Canaries by the thousand, on a virtual clock: `python -m benchmarks.canary [--runs 1000]` prints how they end.

The decisions are the product's own (`gateway.control.canary.machine`), asked every second as the control process asks
them. Only the traffic is drawn by chance: requests come at random (Poisson), chance decides which target gets one,
and latencies are lognormal. With `drift` load and latencies of both targets swing together, by half and by a quarter.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from rich.console import Console
from rich.progress import track

from benchmarks.latencies import Ints, Latencies, chances
from benchmarks.summary import table
from gateway.control.canary.evidence import Evidence, Sample
from gateway.control.canary.machine import begin, decide, shadow_percent, weights
from gateway.traffic.canary_sections import CanarySection

DEFAULT = CanarySection(candidate="new")
FROM_5 = CanarySection(candidate="new", steps=(5.0, 25.0, 50.0, 100.0))
NO_SHADOW = CanarySection(candidate="new", steps=(5.0, 25.0, 50.0, 100.0), shadow_percent=0.0)

_CHUNK_SECONDS = 60
_LONGEST_SECONDS = 6 * 3600  # a canary that has not ended by then counts as undecided
_SWING_SECONDS = 240.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a canary is put through.

    Attributes:
        name: of the candidate's fault.
        section: the canary's.
        per_second: requests for both targets.
        sigma: standard deviation of the latency's logarithm.
        drifts: whether load and latencies swing.
        slower: how many times as long the candidate takes.
        errors: share of requests that fail, at the baseline and at the candidate.
        wrong: share of the candidate's answers that differ.
        workers: data workers; each leaves its first requests out.
    """

    name: str
    section: CanarySection = DEFAULT
    per_second: float = 200.0
    sigma: float = 0.45
    drifts: bool = False
    slower: float = 1.0
    errors: tuple[float, float] = (0.001, 0.001)
    wrong: float = 0.001
    workers: int = 4


@dataclass(frozen=True, slots=True)
class Ending:
    """How one canary ended.

    Attributes:
        phase: the canary's.
        percent: of the requests that the candidate had then.
        served_at_5: what it had served to clients at 5 %.
        served: what it had served to clients in all.
        seconds: how long it took.
        reason: why it ended.
    """

    phase: str
    percent: float
    served_at_5: int
    served: int
    seconds: int
    reason: str


@dataclass
class _Window:
    """The traffic of one step, second by second; all counts are sums since it began."""

    scenario: Scenario
    rng: np.random.Generator
    began: int
    percent: float
    shadow: float
    seconds: int = 0
    latencies: tuple[Latencies, Latencies] = field(init=False)
    served: int = 0
    _rows: list[list[int]] = field(default_factory=list)
    _totals: Ints = field(default_factory=lambda: np.zeros(7, np.int64))
    _arrived: Ints = field(init=False)

    def __post_init__(self) -> None:
        self._arrived = np.zeros(self.scenario.workers, np.int64)
        first, usual = chances(self.scenario.sigma, 1.0)
        other, slower = chances(self.scenario.sigma, self.scenario.slower)
        self.latencies = Latencies(usual, first, self.rng), Latencies(slower, other, self.rng)

    def second(self) -> Evidence:
        """All evidence, one second later."""
        if not self._rows:
            self._rows = self._drawn().tolist()[::-1]
        base_ok, base_failed, ok, failed, shadow_ok, shadow_failed, differed, new_base, new, served, shift = (
            self._rows.pop()
        )
        self.seconds += 1
        self.served = served
        base, mine = self.latencies
        base.add(shift, new_base)
        mine.add(shift, new)
        return Evidence(
            Sample(base_ok, base_failed, base),
            Sample(ok, failed, mine),
            shadow_ok,
            shadow_failed,
            shadow_ok - differed,
            differed,
        )

    def _drawn(self) -> Ints:
        """The next minute."""
        scenario, rng = self.scenario, self.rng
        at = self.began + self.seconds + np.arange(_CHUNK_SECONDS)
        swing = np.sin(2 * math.pi * at / _SWING_SECONDS) if scenario.drifts else np.zeros(_CHUNK_SECONDS)
        rate = scenario.per_second * (1 + 0.5 * swing)
        shift = np.rint(np.log1p(0.25 * swing) / math.log(1.02)).astype(np.int64)
        size, share = (scenario.workers, _CHUNK_SECONDS), self.percent / 100
        came_base = rng.poisson(rate * (1 - share) / scenario.workers, size)
        came = rng.poisson(rate * share / scenario.workers, size).cumsum(axis=1) + self._arrived[:, None]
        before = np.column_stack([self._arrived, came])
        self._arrived = came[:, -1]
        settle = scenario.section.settle_requests
        # Latencies are counted once the candidate has settled, outcomes from the first request on.
        timed = np.diff(np.maximum(before - settle, 0).sum(axis=0))
        timed_base = np.where(before[:, :-1] >= settle, came_base, 0).sum(axis=0)
        base, mine, served = came_base.sum(axis=0), np.diff(before.sum(axis=0)), came.sum(axis=0)
        shadow = rng.binomial(base, self.shadow / 100)
        base_failed, failed = rng.binomial(base, scenario.errors[0]), rng.binomial(mine, scenario.errors[1])
        shadow_failed = rng.binomial(shadow, scenario.errors[1])
        differed = rng.binomial(shadow - shadow_failed, scenario.wrong)
        parts = [
            base - base_failed,
            base_failed,
            mine - failed,
            failed,
            shadow - shadow_failed,
            shadow_failed,
            differed,
        ]
        sums = np.stack(parts).cumsum(axis=1) + self._totals[:, None]
        self._totals = sums[:, -1]
        return np.vstack([sums, timed_base, timed, served, shift]).T


def simulate(scenario: Scenario, seed: int) -> Ending:
    """One canary, from its beginning to its end."""
    rng = np.random.default_rng(seed)
    section, clock, served_at_5, served = scenario.section, 0, 0, 0
    state = begin(section, clock)
    while clock < _LONGEST_SECONDS:
        percent = weights(section, state)
        window = _Window(scenario, rng, clock, percent, shadow_percent(section, state))
        epoch = state.epoch
        while state.epoch == epoch and clock < _LONGEST_SECONDS:
            clock += 1
            state = decide(section, state, window.second(), clock).state
        served += window.served
        if percent == 5:
            served_at_5 = window.served
        if state.is_over:
            return Ending(state.phase, percent, served_at_5, served, clock, state.reason)
    return Ending("undecided", weights(section, state), served_at_5, served, clock, state.reason)


def scenarios() -> list[Scenario]:
    """What is judged."""
    found = [
        Scenario(f"same{', drift' if drifts else ''}", section, rate, sigma, drifts, errors=(errors, errors))
        for section, rate, sigma, drifts, errors in (
            (DEFAULT, 200, 0.45, False, 0.001),
            (DEFAULT, 50, 0.6, True, 0.01),
            (DEFAULT, 1000, 0.3, True, 0.003),
            (FROM_5, 200, 0.6, True, 0.01),
        )
    ]
    for section in (DEFAULT, FROM_5):
        for rate in (50.0, 200.0, 1000.0):
            found += [
                Scenario("20 % slower", section, rate, sigma, drifts, slower=1.2)
                for sigma in (0.3, 0.45, 0.6)
                for drifts in (False, True)
            ]
            found.append(Scenario("2 % wrong", section, rate, wrong=0.02))
            found += [
                Scenario(f"1 % errors against {100 * usual:g} %", section, rate, errors=(usual, 0.01))
                for usual in (0.0, 0.001)
            ]
    for rate in (2.0, 20.0):
        found += [
            Scenario("all answers differ", per_second=rate, wrong=1.0),
            Scenario("2 % wrong", per_second=rate, wrong=0.02),
            Scenario("everything fails", per_second=rate, errors=(0.0, 1.0)),
            Scenario("1 % errors against 0 %", per_second=rate, errors=(0.0, 0.01)),
        ]
    found.append(Scenario("1 % errors, no shadow", NO_SHADOW, errors=(0.0, 0.01)))
    found += [Scenario("5 % slower", slower=1.05), Scenario("5 % slower", FROM_5, sigma=0.3, slower=1.05)]
    return found


def row(scenario: Scenario, endings: Sequence[Ending]) -> list[str]:
    """One line of the table."""
    back = [ending for ending in endings if ending.phase == "rolled_back"]
    at_5 = sorted(ending.served_at_5 for ending in back if ending.percent == 5)
    places = sorted({ending.percent for ending in back})
    few = sum(ending.phase == "rolled_back" and ending.served_at_5 < 200 for ending in endings)
    return [
        f"{scenario.name}; from {scenario.section.steps[0]:g} %, {scenario.per_second:g}/s, sigma {scenario.sigma:g}"
        + (", drift" if scenario.drifts and "drift" not in scenario.name else ""),
        f"{100 * len(back) / len(endings):.1f} %",
        f"{100 * few / len(endings):.1f} %",
        ", ".join(f"{sum(e.percent == place for e in back)} at {place:g} %" for place in places),
        _spread(at_5),
        _spread(sorted(ending.served for ending in back)),
        _spread(sorted(ending.seconds for ending in back)),
    ]


def _spread(values: Sequence[int]) -> str:
    """The median, the 95th percentile and the most of values that rise."""
    if not values:
        return ""
    return f"{statistics.median(values):.0f} / {values[math.ceil(0.95 * len(values)) - 1]} / {values[-1]}"


def main(arguments: Sequence[str]) -> int:
    """Simulate, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.canary", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="canaries per scenario (default: 1000)")
    parser.add_argument("--only", default="", help="only scenarios whose name contains this")
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    rows = []
    for scenario in scenarios():
        if options.only in scenario.name:
            runs = track(range(options.runs), f"{scenario.name} at {scenario.per_second:g}/s", console=console)
            rows.append(row(scenario, [simulate(scenario, seed) for seed in runs]))
    spread = "median / p95 / most"
    header = [
        "candidate",
        "rolled back",
        "with < 200 at 5 %",
        "where",
        f"served at 5 %: {spread}",
        f"served in all: {spread}",
        f"seconds: {spread}",
    ]
    print(table(header, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
