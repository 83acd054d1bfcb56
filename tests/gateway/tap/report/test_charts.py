import re
import xml.etree.ElementTree as ET

import pytest

from gateway.tap.report import charts
from gateway.tap.report.elements import Markup
from gateway.tap.report.model import Counts, OutputStatistics, Timeline
from gateway.tap.tally import error_bin


def drawn(markup: Markup) -> ET.Element:
    """The drawing, whose shapes are all in it."""
    root = ET.fromstring(markup)  # noqa: S314 - our own
    width, height = (float(each) for each in root.attrib["viewBox"].split()[2:])
    for shape in root.iter("rect"):
        x, y, w, h = (float(shape.attrib[name]) for name in ("x", "y", "width", "height"))
        assert min(x, y, w, h) >= 0
        assert x + w <= width + 0.2
        assert y + h <= height + 0.2
    return root


def kinds(root: ET.Element) -> list[str]:
    return [shape.attrib["class"] for shape in root.iter("rect")]


def titles(root: ET.Element) -> list[str]:
    return [title.text or "" for shape in root.iter("rect") for title in shape.iter("title")]


def test_one_bar_shows_all_and_hides_nothing() -> None:
    root = drawn(charts.total(Counts(10**6, 1, 0)))
    shapes = {shape.attrib["class"]: float(shape.attrib["width"]) for shape in root.iter("rect")}
    assert shapes["bad"] > 2
    assert shapes["off"] == 0
    assert shapes["good"] + shapes["bad"] == pytest.approx(shapes["track"], abs=0.2)
    assert root.attrib["aria-label"] == "All comparisons. 1000000 agreed, 1 differed, 0 unreadable"
    assert kinds(drawn(charts.total(Counts()))) == ["track"]


def test_periods_show_which_share_differed() -> None:
    timeline = Timeline(60, {100: Counts(10), 101: Counts(5, 5), 103: Counts(unreadable=2), 110: Counts(0, 1)})
    root = drawn(charts.over_time(timeline))
    assert kinds(root) == ["good", "bad", "bad", "good", "bad", "bad"]
    assert "1970-01-01 01:41:00: 5 of 10 differed" in titles(root)
    assert "At most 100 % of the answers of 60 seconds differed" in root.attrib["aria-label"]


@pytest.mark.parametrize(
    ("timeline", "label"),
    [
        (Timeline(10, {5: Counts(1)}), "00:01:00"),
        (Timeline(300, {number: Counts(1) for number in range(100)}), "01:25"),
        (Timeline(86400, {number: Counts(1) for number in range(100)}), "01-18 00:00"),
    ],
)
def test_times_fit_what_is_shown(timeline: Timeline, label: str) -> None:
    labels = [text.text for text in drawn(charts.over_time(timeline)).iter("text")]
    assert label in labels
    assert len(labels) <= 3 + 7


def test_errors_stand_on_a_logarithmic_axis() -> None:
    output = OutputStatistics(
        "FP32", (1,), exact=5, infinite=1, errors={error_bin(1e-5): 2, error_bin(1e-3): 10, error_bin(0.5): 1}
    )
    root = drawn(charts.errors("<y>", output, 1e-3))
    assert kinds(root) == ["good", "error", "error", "error", "bad"]
    assert titles(root)[0] == "no error at all: 5 answers"
    assert titles(root)[2] == "0.001 to 0.0018: 10 answers"
    labels = [text.text for text in root.iter("text")]
    assert {"10⁻⁵", "10⁻³", "1", "0", "∞", "allowed"} <= set(labels)
    lines = [each for each in root.iter("line") if each.attrib["class"] == "limit"]
    third = list(root.iter("rect"))[2]
    assert float(lines[0].attrib["x1"]) == pytest.approx(float(third.attrib["x"]), abs=1)
    assert root.attrib["aria-label"].startswith("Largest error of output <y>, in answers. no error at all: 5; ")


@pytest.mark.parametrize(
    "output",
    [
        OutputStatistics("FP32", (1,), exact=1),
        OutputStatistics("FP32", (1,), infinite=3),
        OutputStatistics("FP32", (1,), errors={-80: 1, 160: 10**9}),
        OutputStatistics("FP32", (1,), errors=dict.fromkeys(range(-80, 161), 1)),
    ],
)
@pytest.mark.parametrize("allowed", [None, 1e-3, 100.0])
def test_any_errors_can_be_drawn(output: OutputStatistics, allowed: float | None) -> None:
    root = drawn(charts.errors("y", output, allowed))
    assert len(kinds(root)) == len(output.errors) + bool(output.exact) + bool(output.infinite)
    assert len(re.findall("limit", str(charts.errors("y", output, None)))) == 0
