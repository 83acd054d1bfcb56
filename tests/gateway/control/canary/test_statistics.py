"""The reference values are those of scipy 1.17.1: `hypergeom.sf`, `binom.sf`, and `mannwhitneyu(x, y,
alternative="greater", method="asymptotic")`."""

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.canary.statistics import Counts, binomial, fisher, median_test, quantile_test

counts = st.integers(0, 40).flatmap(lambda total: st.builds(Counts, st.integers(0, total), st.just(total)))
histograms = st.dictionaries(st.integers(100, 120), st.integers(1, 30), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("candidate", "baseline", "chance"),
    [
        ((7, 1150), (0, 3800), 3.602020495812042e-05),
        ((3, 10), (1, 400), 4.155149328490894e-05),
        ((12, 1150), (4, 3800), 1.657648241125483e-05),
        ((0, 10), (5, 100), 1.0),
        ((1000, 100_000), (900, 100_000), 0.01123006347786589),
        ((1000, 100_000), (1100, 100_000), 0.9866542623815073),
        ((2, 1000), (400, 100_000), 0.9084972037837784),
        ((100_700, 10_000_000), (1_000_000, 100_000_000), 0.017115963994339584),
        ((50_300, 50_000_000), (50_000, 50_000_000), 0.17243675593987132),
    ],
)
def test_fisher_is_exact(candidate: tuple[int, int], baseline: tuple[int, int], chance: float) -> None:
    assert fisher(Counts(*candidate), Counts(*baseline)) == pytest.approx(chance, rel=2e-6)


@given(counts, counts)
def test_fisher_is_the_sum_of_its_definition(candidate: Counts, baseline: Counts) -> None:
    hits, total = candidate.hits + baseline.hits, candidate.total + baseline.total
    tail = range(candidate.hits, min(hits, candidate.total) + 1)
    ways = sum(comb(candidate.total, n) * comb(baseline.total, hits - n) for n in tail)
    assert fisher(candidate, baseline) == pytest.approx(ways / comb(total, hits), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("hits", "total", "share", "chance"),
    [
        (19, 950, 0.005, 6.033394087128284e-07),
        (1, 10, 0.005, 0.04888986953422811),
        (600_000, 100_000_000, 0.00595, 4.236513764110223e-11),
        (5, 1000, 0.01, 0.9713136000009955),
        (50, 100, 0.3, 2.2060913327165863e-05),
        (0, 5, 0.1, 1.0),
        (1, 5, 0.0, 0.0),
        (5, 5, 1.0, 1.0),
    ],
)
def test_the_binomial_tail_is_exact(hits: int, total: int, share: float, chance: float) -> None:
    assert binomial(Counts(hits, total), share) == pytest.approx(chance, rel=1e-6)


# 30 and 40 whole numbers, and 300 and 60: many ties
FEW, FEW_MORE = {1: 3, 2: 10, 3: 20, 4: 7}, {2: 4, 3: 16, 4: 10}
MANY, LATER = dict.fromkeys(range(10), 30), dict.fromkeys(range(3, 13), 6)


@pytest.mark.parametrize(
    ("candidate", "baseline", "chance"),
    [(FEW_MORE, FEW, 0.01667371390118848), (LATER, MANY, 1.8724639247346196e-10), (FEW, FEW_MORE, 0.9838553452566295)],
)
def test_ranks_are_corrected_for_ties(candidate: dict[int, int], baseline: dict[int, int], chance: float) -> None:
    assert median_test(candidate, baseline) == pytest.approx(chance, rel=1e-9)


def test_few_requests_are_judged_by_the_exact_test_of_the_median() -> None:
    # all ten of the candidate above all of the baseline's: 10 of 10 against 10 of 30 above the median of both
    assert median_test({9: 10}, {1: 20, 2: 10}) == fisher(Counts(10, 10), Counts(10, 30))


@given(histograms, histograms)
def test_who_is_slower_is_the_one_who_is_found_slower(one: dict[int, int], shape: dict[int, int]) -> None:
    slower = {number + 200: count for number, count in shape.items()}
    assert 0 <= median_test(slower, one) <= median_test(one, slower) + 1e-12
    for share in (0.5, 0.95, 0.99):
        assert 0 <= quantile_test(slower, one, share) <= quantile_test(one, slower, share) + 1e-12


@given(histograms, histograms, st.sampled_from([0.5, 0.95, 0.99]))
def test_the_slowest_are_cut_off_between_two_bins(
    candidate: dict[int, int], baseline: dict[int, int], share: float
) -> None:
    cuts = sorted({*candidate, *baseline})[1:]

    def above(histogram: dict[int, int], cut: int) -> Counts:
        return Counts(sum(c for n, c in histogram.items() if n >= cut), sum(histogram.values()))

    possible = [fisher(above(candidate, cut), above(baseline, cut)) for cut in cuts] or [1.0]
    assert quantile_test(candidate, baseline, share) in possible


def test_equal_latencies_say_nothing() -> None:
    assert quantile_test({7: 1000}, {7: 5000}, 0.95) == 1.0
    assert median_test({7: 1000}, {7: 5000}) == 1.0


def test_nobody_is_slower_than_nobody() -> None:
    assert quantile_test({}, {}, 0.5) == 1.0
    assert median_test({}, {5: 100}) == 1.0
    assert fisher(Counts(0, 0), Counts(3, 10)) == 1.0


def test_a_tail_is_seen_where_the_median_is_the_same() -> None:
    usual = {100: 9500, 110: 500}
    slow = {100: 180, 110: 20}
    assert quantile_test(slow, usual, 0.95) == fisher(Counts(20, 200), Counts(500, 10_000))
    assert quantile_test(slow, usual, 0.95) < 0.01
