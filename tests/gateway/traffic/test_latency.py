import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.traffic.latency import bin_of, percentile, seconds_of

SECONDS = st.floats(1e-6, 1e3)


@given(SECONDS)
def test_a_bin_s_middle_is_within_one_percent_of_what_is_in_it(seconds: float) -> None:
    assert seconds_of(bin_of(seconds)) == pytest.approx(seconds, rel=0.0101)


@given(st.integers(0, 1046))
def test_the_middle_of_a_bin_lies_in_the_bin(number: int) -> None:
    assert bin_of(seconds_of(number)) == min(number, bin_of(1e3))


@given(SECONDS, SECONDS)
def test_more_seconds_are_never_in_a_lower_bin(one: float, other: float) -> None:
    assert (one <= other) or bin_of(one) >= bin_of(other)


@pytest.mark.parametrize(("seconds", "number"), [(-1, 0), (0, 0), (1e-9, 0), (1e-6, 0), (1e9, 1046), (math.inf, 1046)])
def test_what_is_beyond_the_ends_counts_as_the_ends(seconds: float, number: int) -> None:
    assert bin_of(seconds) == number


@given(st.lists(SECONDS, min_size=1, max_size=200), st.floats(0.01, 1))
def test_a_percentile_is_that_of_the_values_themselves(values: list[float], share: float) -> None:
    exact = sorted(values)[math.ceil(share * len(values)) - 1]
    assert percentile(Counter(map(bin_of, values)), share) == pytest.approx(exact, rel=0.0101)


def test_an_empty_histogram_has_no_percentile() -> None:
    for empty in ({}, {3: 0}):
        with pytest.raises(ValueError, match="empty"):
            percentile(empty, 0.5)
