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
from collections.abc import ItemsView, Iterator, Mapping, Sequence, ValuesView
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from benchmarks.summary import table
from gateway.control.canary.evidence import Evidence, Sample
from gateway.control.canary.machine import begin, decide, shadow_percent, weights
from gateway.traffic.canary_sections import CanarySection
from gateway.traffic.latency import bin_of, seconds_of

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

DEFAULT = CanarySection(candidate="new")
FROM_5 = CanarySection(candidate="new", steps=(5.0, 25.0, 50.0, 100.0))
NO_SHADOW = CanarySection(candidate="new", steps=(5.0, 25.0, 50.0, 100.0), shadow_percent=0.0)

_CHUNK_SECONDS = 60
_LONGEST_SECONDS = 6 * 3600  # a canary that has not ended by then counts as undecided
_MEDIAN_SECONDS = 0.02
_SWING_SECONDS = 240.0
_MOST_SHIFT = 20  # bins by which latencies swing at most, 2 % each


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
    """How one canary ended: its phase, the candidate's percentage then, and what it had served to clients at 5 %."""

    phase: str
    percent: float
    served_at_5: int
    reason: str


class _Latencies(Mapping[int, int]):
    """A histogram that is drawn when somebody looks at it: most seconds nobody does."""

    def __init__(self, chances: Floats, first: int, rng: np.random.Generator) -> None:
        self._chances, self._rng = chances, rng
        self._numbers = range(first - _MOST_SHIFT, first + len(chances) + _MOST_SHIFT)
        self._drawn_so_far = np.zeros(len(self._numbers), np.int64)
        self._counts: dict[int, int] = {}
        self._pending: dict[int, int] = {}

    def add(self, shift: int, requests: int) -> None:
        """Some more requests, whose latencies are `shift` bins higher than usual."""
        self._pending[shift] = self._pending.get(shift, 0) + requests

    def _drawn(self) -> dict[int, int]:
        if self._pending:
            size = len(self._chances)
            for shift, requests in self._pending.items():
                at = shift + _MOST_SHIFT
                self._drawn_so_far[at : at + size] += self._rng.multinomial(requests, self._chances)
            self._pending.clear()
            pairs = zip(self._numbers, self._drawn_so_far.tolist(), strict=True)
            self._counts = {number: count for number, count in pairs if count}
        return self._counts

    def __getitem__(self, number: int) -> int:
        return self._drawn()[number]

    def __iter__(self) -> Iterator[int]:
        return iter(self._drawn())

    def __len__(self) -> int:
        return len(self._drawn())

    def get(self, number: int, default: int = 0) -> int:  # type: ignore[override]
        """As of a dict, and as fast."""
        return self._drawn().get(number, default)

    def items(self) -> ItemsView[int, int]:
        """As of a dict, and as fast."""
        return self._drawn().items()

    def values(self) -> ValuesView[int]:
        """As of a dict, and as fast."""
        return self._drawn().values()


@dataclass
class _Window:
    """The traffic of one step, second by second; all counts are sums since it began."""

    scenario: Scenario
    rng: np.random.Generator
    began: int
    percent: float
    shadow: float
    seconds: int = 0
    latencies: tuple[_Latencies, _Latencies] = field(init=False)
    served: int = 0
    _rows: list[list[int]] = field(default_factory=list)
    _totals: Ints = field(default_factory=lambda: np.zeros(7, np.int64))
    _arrived: tuple[Ints, Ints] = field(init=False)

    def __post_init__(self) -> None:
        workers = self.scenario.workers
        self._arrived = np.zeros(workers, np.int64), np.zeros(workers, np.int64)
        first, chances = _chances(self.scenario.sigma, 1.0)
        other, slower = _chances(self.scenario.sigma, self.scenario.slower)
        self.latencies = _Latencies(chances, first, self.rng), _Latencies(slower, other, self.rng)

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
        judged = []
        for arrived, share in zip(self._arrived, (1 - self.percent / 100, self.percent / 100), strict=True):
            came = rng.poisson(rate * share / scenario.workers, (scenario.workers, _CHUNK_SECONDS)).cumsum(axis=1)
            came += arrived[:, None]
            before = np.column_stack([arrived, came])
            counted = np.maximum(before - scenario.section.settle_requests, 0).sum(axis=0)
            judged.append((np.diff(counted), np.diff(before.sum(axis=0)), came.sum(axis=0)))
            arrived[:] = came[:, -1]
        (base, all_base, _), (mine, _, served) = judged
        shadow = rng.binomial(all_base, self.shadow / 100)
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
        return np.vstack([sums, base, mine, served, shift]).T


def _chances(sigma: float, times: float) -> tuple[int, Floats]:
    """The first of the bins that a lognormal latency falls into, and the chance of each from there on."""
    median = math.log(_MEDIAN_SECONDS * times)
    first, last = bin_of(math.exp(median - 5 * sigma)), bin_of(math.exp(median + 5 * sigma))
    half = math.log(1.02) / 2
    edges = [(math.log(seconds_of(number)) - half - median) / sigma for number in range(first, last + 2)]
    below = np.array([0.5 * math.erfc(-edge / math.sqrt(2)) for edge in edges])
    chances = np.diff(below)
    return first, chances / chances.sum()


def simulate(scenario: Scenario, seed: int) -> Ending:
    """One canary, from its beginning to its end."""
    rng = np.random.default_rng(seed)
    section, clock, served_at_5 = scenario.section, 0, 0
    state = begin(section, clock)
    while clock < _LONGEST_SECONDS:
        percent = weights(section, state)
        window = _Window(scenario, rng, clock, percent, shadow_percent(section, state))
        epoch = state.epoch
        while state.epoch == epoch and clock < _LONGEST_SECONDS:
            clock += 1
            state = decide(section, state, window.second(), clock).state
        if percent == 5:
            served_at_5 = window.served
        if state.is_over:
            return Ending(state.phase, percent, served_at_5, state.reason)
    return Ending("undecided", weights(section, state), served_at_5, state.reason)


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
        f"{statistics.median(at_5):.0f} / {at_5[math.ceil(0.95 * len(at_5)) - 1]} / {at_5[-1]}" if at_5 else "",
    ]


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
    header = ["candidate", "rolled back", "with < 200 at 5 %", "where", "served at 5 %: median / p95 / most"]
    print(table(header, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
