"""One-sided tests of whether a candidate is worse than its baseline: exact ones for counts, ranks for latencies; pure.

Each gives the chance to see at least what was seen if the candidate is as good, which is the p-value. The exact tests
hold for any sample; conditional on the pooled sample they need nothing but that chance decided which request went to
which target, so a load that changes in the meantime changes nothing. (Where `sticky` binds clients to targets, chance
decides by client: with few clients who differ much the tests are too sure of themselves.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

Histogram = Mapping[int, int]
"""Bin of `gateway.traffic.latency` -> how many."""

_Ratio = Callable[[int], float]

_NOTHING = 1e-18  # a term that small changes no sum; smaller than the spacing of numbers near one
_RANKS_FROM = 30  # requests of each target from which on the sum of ranks is close enough to normal


class Counts(NamedTuple):
    """How many of `total` are `hits`."""

    hits: int
    total: int


def _log_choose(total: int, chosen: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)


def fisher(candidate: Counts, baseline: Counts) -> float:
    """The p-value of Fisher's exact test of whether the candidate's share of hits is the larger one.

    Counts up to 1e8 leave it right to about six digits; it takes some ten thousand additions at most.
    """
    hits, total = candidate.hits + baseline.hits, candidate.total + baseline.total
    least, most = max(0, hits - baseline.total), min(hits, candidate.total)
    seen = candidate.hits
    if seen <= least:
        return 1.0

    def log_chance(count: int) -> float:
        inside = _log_choose(candidate.total, count) + _log_choose(baseline.total, hits - count)
        return inside - _log_choose(total, hits)

    def up(count: int) -> float:
        """The chance of `count + 1` over that of `count`."""
        rest = baseline.total - hits + count + 1
        return (candidate.total - count) * (hits - count) / ((count + 1) * rest)

    if seen * total > hits * candidate.total:  # above the mean: the upper tail is the short one
        return min(1.0, _upper(seen, most, math.exp(log_chance(seen)), up))
    lower = _lower(seen - 1, least, math.exp(log_chance(seen - 1)), up)
    return max(0.0, 1.0 - lower)


def binomial(seen: Counts, share: float) -> float:
    """The chance of at least as many hits as were seen if each is one with chance `share` (0 to 1)."""
    hits, total = seen
    if hits <= 0:
        return 1.0
    if share <= 0.0:
        return 0.0
    if share >= 1.0:
        return 1.0

    def log_chance(count: int) -> float:
        return _log_choose(total, count) + count * math.log(share) + (total - count) * math.log1p(-share)

    odds = share / (1.0 - share)

    def up(count: int) -> float:
        """The chance of `count + 1` over that of `count`."""
        return (total - count) / (count + 1) * odds

    if hits > total * share:
        return min(1.0, _upper(hits, total, math.exp(log_chance(hits)), up))
    return max(0.0, 1.0 - _lower(hits - 1, 0, math.exp(log_chance(hits - 1)), up))


def _upper(first: int, last: int, chance: float, up: _Ratio) -> float:
    """Sum of the chances from `first` to `last`, which fall from the first on."""
    summed = term = chance
    for count in range(first, last):
        term *= up(count)
        summed += term
        if term <= summed * _NOTHING:
            break
    return summed


def _lower(first: int, last: int, chance: float, up: _Ratio) -> float:
    """Sum of the chances from `first` down to `last`, which fall from the first on."""
    summed = term = chance
    for count in range(first - 1, last - 1, -1):
        term /= up(count)
        summed += term
        if term <= summed * _NOTHING:
            break
    return summed


def quantile_test(candidate: Histogram, baseline: Histogram, share: float) -> float:
    """The p-value of whether more of the candidate's requests than chance would have it are among the slowest.

    The slowest are those above the `share`-quantile of both targets together. All of a bin are on one side of it:
    the cut is the edge between two bins that comes closest, which both targets' sum decides, so the test stays exact.
    With no edge (everything in one bin) it is 1.
    """
    together = _added(candidate, baseline)
    total = sum(together.values())
    wanted = total * (1.0 - share)
    cut, above, nearest = None, 0, math.inf
    for number in sorted(together, reverse=True)[:-1]:
        above += together[number]
        if abs(above - wanted) >= nearest:
            break
        cut, nearest = number, abs(above - wanted)
    if cut is None:
        return 1.0
    slow, all_of = sum(count for number, count in candidate.items() if number >= cut), sum(candidate.values())
    slow_before = sum(count for number, count in baseline.items() if number >= cut)
    return fisher(Counts(slow, all_of), Counts(slow_before, total - all_of))


def median_test(candidate: Histogram, baseline: Histogram) -> float:
    """The p-value of whether the candidate is slower in the middle.

    It is Wilcoxon's rank-sum test, corrected for ties (a bin is one) and continuity: with latencies that are roughly
    lognormal it sees in 100 requests what the exact test of the median sees in 150. The sum of few ranks is not quite
    normal, so below 30 requests of either target it is that exact test.
    """
    size, other = sum(candidate.values()), sum(baseline.values())
    if min(size, other) < _RANKS_FROM:
        return quantile_test(candidate, baseline, 0.5) if size and other else 1.0
    total = size + other
    below, ties, ranks = 0, 0, 0.0
    for number, count in sorted(_added(candidate, baseline).items()):
        ranks += candidate.get(number, 0) * (below + (count + 1) / 2)
        ties += count * (count * count - 1)
        below += count
    variance = size * other / 12 * (total + 1 - ties / (total * (total - 1)))
    if variance <= 0:
        return 1.0
    score = (ranks - size * (total + 1) / 2 - 0.5) / math.sqrt(variance)
    return math.erfc(score / math.sqrt(2)) / 2


def _added(one: Histogram, other: Histogram) -> dict[int, int]:
    both = dict(one.items())
    for number, count in other.items():
        both[number] = both.get(number, 0) + count
    return both
