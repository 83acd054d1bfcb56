from __future__ import annotations

import numpy as np
import pytest

from converters.precision.threshold import BINS, entropy_threshold, percentile_threshold


def histogram(values: object) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], float]:
    absolute = np.abs(np.asarray(values, np.float64))
    largest = float(absolute.max())
    return np.histogram(absolute, BINS, range=(0, largest))[0], largest


NORMAL = np.random.default_rng(0).normal(size=200_000)


@pytest.mark.parametrize("percentile", [90.0, 99.0, 99.9, 99.99])
def test_percentile_is_numpys(percentile: float) -> None:
    found = percentile_threshold(*histogram(NORMAL), percentile)
    assert found == pytest.approx(np.percentile(np.abs(NORMAL), percentile), rel=0.005)


def test_whole_range() -> None:
    counts, largest = histogram(NORMAL)
    assert percentile_threshold(counts, largest, 100) == largest
    assert percentile_threshold(np.zeros(BINS, np.int64), 0.0, 99) == 0
    assert entropy_threshold(np.zeros(BINS, np.int64), 0.0) == 0


def test_entropy_cuts_a_long_tail_off_and_keeps_a_flat_range() -> None:
    outliers = np.concatenate([NORMAL, np.full(20, 60.0)])
    assert 2 < entropy_threshold(*histogram(outliers)) < 10
    flat = np.linspace(-3, 3, 200_001)
    assert entropy_threshold(*histogram(flat)) == pytest.approx(3, rel=0.01)


def test_entropy_does_not_count_zeros() -> None:
    counts, largest = histogram(NORMAL)
    with_zeros = counts.copy()
    with_zeros[0] += 10**7
    assert entropy_threshold(with_zeros, largest) == entropy_threshold(counts, largest)


def test_entropy_cuts_nothing_off_little_data() -> None:
    assert entropy_threshold(*histogram([0.1, 0.5, 0.9])) == pytest.approx(0.9)
