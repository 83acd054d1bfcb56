import math

import pytest

from gateway.tap.report import words
from gateway.tap.report.model import Case, Counts, OutputStatistics, Side
from tests.gateway.tap.report.reports import empty, full


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "-"), (0.0, "0 %"), (1.0, "100 %"), (0.5, "50 %"), (0.98754, "98.75 %"), (0.00001, "< 0.01 %"),
        (0.99999, "> 99.99 %"), (0.001, "0.1 %"),
    ],
)  # fmt: skip
def test_shares_are_percentages(value: float | None, said: str) -> None:
    assert words.share(value) == said


def test_figures_have_three_digits() -> None:
    assert [words.figure(each) for each in (None, 0.0, 1e-7, 0.12345, 1234.5, math.inf)] == [
        "-", "0", "1e-07", "0.123", "1.23e+03", "∞"
    ]  # fmt: skip
    assert [words.similarity(each) for each in (None, 1.0, 1 - 1e-9, 0.5)] == [
        "-",
        "1.000000",
        "> 0.999999",
        "0.500000",
    ]
    assert words.count(1234567) == "1\u202f234\u202f567"
    assert [words.duration(each) for each in (2.0, 0.01234, 1.5e-5)] == ["2 s", "12.3 ms", "15 µs"]
    assert [words.moment(each) for each in (None, 0.0)] == ["-", "1970-01-01 00:00:00"]
    assert words.instant(0.25) == "1970-01-01 00:00:00.250"


def test_the_headline_says_what_came_of_it() -> None:
    assert words.headline(Counts(unreadable=2)) == "Nothing compared yet"
    assert words.headline(Counts(999, 1)) == "99.9 % of 1\u202f000 answers agree"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "no element is off by more than 0.1 + 0 times what is expected"),
        ({"by": "cosine", "ignore": ["a", "b"]}, "the cosine similarity is at least 0.999; not compared: a, b"),
        ({"by": "top1"}, "every row has the expected top class"),
        ({"by": "function", "function": "f.py:f"}, "f.py:f says so, by at least 99 % where it gives a number"),
    ],
)
def test_the_rule_is_told(settings: dict[str, object], said: str) -> None:
    assert words.rule(empty(**settings).settings) == said


def test_a_replay_is_called_by_what_was_asked() -> None:
    report = full()
    assert words.subject(report) == "Route ocr, ocr-2: ocr-2 version 2 against ocr"
    assert "runs beside its original" in words.latency_note(report)
    report.route, report.mirror, report.replayed = "Replay of log", "http://b against http://a", True
    assert words.subject(report) == "Replay of log: http://b against http://a"
    assert words.pair(report) == "http://b against http://a"
    assert "measured by the gateway that recorded it" in words.latency_note(report)
    assert "beside" not in words.latency_note(report)


def test_both_sides_are_named() -> None:
    assert words.pair(empty()) == "ocr-2"
    assert words.pair(full()) == "ocr-2 version 2 against ocr"
    same = full()
    same.baseline, same.candidate = Side("old", "m"), Side("new", "m")
    assert words.pair(same) == "m at new against m at old"
    same.baseline = same.candidate
    assert words.pair(same) == "m against m"
    assert words.shape(OutputStatistics("FP32", (1, 10))) == "FP32 [1, 10]"
    assert words.case_error(Case(0, "", None, "differed", "", (0, 0))) == "∞"
