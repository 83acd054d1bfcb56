import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.tap.report.latencies import latencies
from gateway.tap.report.words import duration
from gateway.traffic.latency import bin_of, percentile

HISTOGRAM = st.dictionaries(st.integers(0, bin_of(1000)), st.integers(1, 10**9), min_size=1, max_size=30)


def drawn(baseline: dict[int, int], candidate: dict[int, int]) -> ET.Element:
    return ET.fromstring(latencies({"baseline": baseline, "candidate": candidate}))  # noqa: S314 - our own


@settings(max_examples=60, deadline=None)
@given(HISTOGRAM, HISTOGRAM)
def test_any_two_distributions_can_be_drawn(baseline: dict[int, int], candidate: dict[int, int]) -> None:
    root = drawn(baseline, candidate)
    for area in root.iter("polygon"):
        points = [tuple(map(float, point.split(","))) for point in area.attrib["points"].split()]
        assert all(51.9 <= x <= 706.1 and 41.9 <= y <= 192.1 for x, y in points)
        assert points[0][1] == points[-1][1] == 192
        assert min(y for _, y in points) < 192
    for line in root.iter("line"):
        assert all(-0.1 <= float(line.attrib[name]) <= 720.1 for name in ("x1", "x2"))
    for side in ("baseline", "candidate"):
        names = [text for text in root.iter("text") if text.attrib["class"] == f"name {side}"]
        places = [float(text.attrib["x"]) for text in names]
        assert all(second - first >= 87.8 for first, second in pairwise(places))
        assert places[0] >= 43.9
        assert places[-1] <= 676.1


def test_percentiles_are_marked_and_told() -> None:
    baseline = {bin_of(0.010): 98, bin_of(0.050): 2}
    root = drawn(baseline, {bin_of(0.020): 1})
    labels = [text.text for text in root.iter("text")]
    assert "p50 10.1 ms" in labels
    assert "p99 50.1 ms" in labels
    assert f"p99 {duration(percentile({bin_of(0.020): 1}, 0.99))}" in labels
    assert root.attrib["aria-label"].startswith(
        "Latency of both sides. baseline: p50 10.1 ms, p95 10.1 ms, p99 50.1 ms; "
    )
    assert {"10 ms", "20 ms", "50 ms"} <= set(labels)


@pytest.mark.parametrize("seconds", [0.0, 1e-6, 5.0, 10**6])
def test_the_ends_of_the_scale_can_be_drawn(seconds: float) -> None:
    number = bin_of(seconds)
    assert len(list(drawn({number: 1}, {number: 1}).iter("polygon"))) == 2
