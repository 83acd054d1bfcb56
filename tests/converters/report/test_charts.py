import math
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from converters.report.charts import WIDTH, Bar, axis, bars, histogram, power
from converters.verify.base import Histogram
from tests.converters.report.builds import EDGES, HOSTILE, output, unknown


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - written here


def drawn(svg: str, kind: str) -> list[ET.Element]:
    return [rect for rect in parsed(svg).iter("rect") if rect.get("class") == f"bar {kind}"]


def test_bars_are_as_long_as_their_values() -> None:
    svg = bars("Sizes", [Bar("fp32", 8.0, "8 MB", "before"), Bar("int8", 2.0, "2 MB")])
    assert [rect.get("width") for rect in drawn(svg, "before")] == [f"{WIDTH:.1f}"]
    assert [rect.get("width") for rect in drawn(svg, "after")] == [f"{WIDTH / 4:.1f}"]
    assert parsed(svg).get("aria-label") == "Sizes. fp32: 8 MB; int8: 2 MB"


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_values_that_cannot_be_drawn_are_told_without_a_bar(value: float) -> None:
    svg = bars("Latency", [Bar("fp32", 8.0, "8 ms", "before"), Bar("int8", value, "NaN ms")])
    assert [rect.get("width") for rect in drawn(svg, "after")] == ["0.0"]
    assert "NaN ms" in svg


def test_bars_of_nothing() -> None:
    assert drawn(bars("Sizes", []), "after") == []
    assert [rect.get("width") for rect in drawn(bars("Sizes", [Bar("a", 0.0, "0 B")]), "after")] == ["0.0"]


def test_long_and_hostile_labels_are_cut_in_the_chart_and_whole_in_its_title() -> None:
    svg = bars(HOSTILE, [Bar(HOSTILE * 3, 1.0, "1 B")])
    root = parsed(svg)
    assert "<script" not in svg
    assert max(len(text.text or "") for text in root.iter("text")) <= 30
    assert any("</script>" in (title.text or "") for title in root.iter("title"))


def test_a_histogram_has_a_bar_for_each_bin_that_is_not_empty() -> None:
    edges = axis([output().histogram])
    svg = histogram("int8", output(), edges)
    heights = [float(rect.get("height", "0")) for rect in drawn(svg, "after")]
    assert edges == EDGES[4:10]
    assert len(heights) == 4
    assert heights.index(max(heights)) == 2
    assert "10⁻³ to 10⁻²: 62.5 % (40 of 64)" in svg


def test_rare_errors_can_still_be_seen() -> None:
    rare = replace(output(), histogram=Histogram((0.0, 1e-9, 1e-8), (1_000_000, 1)))
    assert [rect.get("height") for rect in drawn(histogram("x", rare, (0.0, 1e-9, 1e-8)), "after")] == ["96.0", "1.5"]


def test_histograms_of_several_results_have_their_bins_in_common() -> None:
    small = Histogram(EDGES[:4], (3, 0, 1))
    large = Histogram((*EDGES, 10.0, 100.0), (0,) * 11 + (5,))
    edges = axis([small, large])
    assert edges == (*EDGES, 10.0, 100.0)
    assert "0 to 10⁻⁹: 75 %" in histogram("a", replace(output(), histogram=small), edges)
    assert "10 to 10²: 100 %" in histogram("b", replace(output(), histogram=large), edges)


def test_a_single_bin_gets_neighbours() -> None:
    assert len(axis([Histogram(EDGES, (1, *[0] * 9))])) == 6
    assert len(axis([Histogram((0.0, 1.0), (4,))])) == 2


def test_nothing_compared() -> None:
    assert axis([unknown().histogram]) == axis([]) == ()
    assert "No elements were compared" in histogram("int8", unknown(), ())


@pytest.mark.parametrize(
    ("edge", "told"),
    [
        (0.0, "0"),
        (1e-9, "10⁻⁹"),
        (1.0, "1"),
        (10.0, "10"),
        (1e308, "10³⁰⁸"),
        (1.7976931348623157e308, "1.8e+308"),
        (0.05, "0.05"),
    ],
)
def test_edges_as_powers_of_ten(edge: float, told: str) -> None:
    assert power(edge) == told
