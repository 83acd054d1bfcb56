import numpy as np
import pytest

from benchmarks.latencies import Latencies, chances
from gateway.traffic.latency import percentile


@pytest.mark.parametrize("times", [1.0, 1.2])
def test_the_median_is_as_asked_for(times: float) -> None:
    first, found = chances(0.45, times)
    assert found.sum() == pytest.approx(1)
    histogram = Latencies(found, first, np.random.default_rng(0))
    histogram.add(0, 100_000)
    assert sum(histogram.values()) == 100_000
    assert percentile(histogram, 0.5) == pytest.approx(0.02 * times, rel=0.03)


def test_what_swings_is_shifted() -> None:
    first, found = chances(0.3, 1.0)
    histogram = Latencies(found, first, np.random.default_rng(0))
    histogram.add(0, 1000)
    before = dict(histogram.items())
    histogram.add(20, 1000)
    assert sum(histogram.values()) == 2000
    assert max(histogram) > max(before)
    assert len(histogram) == len(list(histogram.items()))
    assert histogram[max(histogram)] == histogram.get(max(histogram))
    assert histogram.get(-5) == 0
