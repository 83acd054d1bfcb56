import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tap.difference import Difference, OutputDifference
from gateway.tap.report.model import Counts, Report, Side, Timeline
from gateway.tap.tally import Tally, error_bin, error_of, period_of
from tests.gateway.tap.bodies import answer, exchange, refusal

START = 1_790_000_000
AGREED, UNREADABLE = Difference("agreed"), Difference("unreadable", "it is no JSON")


def output(error: float | None = 0.5, agrees: bool = False, **changed: Any) -> OutputDifference:
    known = {"elements": 4, "mismatched": 1, "max_error": error, "mean_error": 0.1, "cosine": 0.9, "top1": 0.5}
    return OutputDifference("FP32", (1, 4), agrees, **(known | changed))


def differed(error: float = 0.5, **changed: Any) -> Difference:
    return Difference("differed", f"off by {error}", error, {"y": output(error, **changed)})


def tally() -> Tally:
    return Tally(Report("ocr", "ocr-2", {}))


def add(to: Tally, difference: Difference, second: float = 0, **changed: Any) -> None:
    sides = answer({}, "ocr", 0.010), answer({}, "ocr-2", 0.020)
    to.add(exchange(*sides, arrived=int((START + second) * 10**9), **changed), difference)


def test_verdicts_are_counted_and_timed() -> None:
    counted = tally()
    for second, difference in enumerate((AGREED, differed(), UNREADABLE, AGREED)):
        add(counted, difference, second)
    report = counted.report
    assert report.counts == Counts(2, 1, 1)
    assert report.counts.agreement == 2 / 3
    assert (report.first, report.last) == (START, START + 3)
    assert (report.baseline, report.candidate) == (Side("ocr", "ocr"), Side("ocr-2", "ocr-2"))
    assert report.problems == {"it is no JSON": 1}
    assert sum(report.baseline_latency.values()) == sum(report.candidate_latency.values()) == 4
    assert max(report.baseline_latency) < min(report.candidate_latency)
    assert report.timeline.periods == {START // 10: Counts(2, 1, 1)}


def test_a_window_counts_from_its_first_exchange_on() -> None:
    counted = tally()
    add(counted, AGREED)
    assert counted.status() == {"agreed": 1, "differed": 0, "unreadable": 0, "window": None}
    add(counted, AGREED, epoch="1")
    add(counted, differed(), epoch="1")
    add(counted, UNREADABLE, epoch="1")
    assert counted.status()["window"] == {"epoch": "1", "agreed": 1, "differed": 1}
    add(counted, AGREED, epoch="2")
    add(counted, differed(), epoch="1")  # it was under way when the window changed
    add(counted, differed(), epoch="")
    assert counted.status()["window"] == {"epoch": "2", "agreed": 1, "differed": 0}
    assert counted.status()["differed"] == 3


def test_outputs_are_summed_up() -> None:
    counted = tally()
    for error in (0.5, 0.0, math.inf, 0.25):
        add(counted, differed(error, agrees=error == 0))
    add(counted, Difference("differed", "texts", 1.0, {"t": OutputDifference("BYTES", (1,), False, 1, 1)}))
    known = counted.report.outputs["y"]
    assert (known.compared, known.differed, known.elements, known.mismatched) == (4, 3, 16, 4)
    assert (known.exact, known.infinite, known.max_error) == (1, 1, 0.5)
    assert known.errors == {error_bin(0.5): 1, error_bin(0.25): 1}
    assert known.mean_error == pytest.approx(0.1)
    assert known.cosine == pytest.approx(0.9)
    assert known.cosine_least == 0.9
    assert known.top1 == 0.5
    text = counted.report.outputs["t"]
    assert (text.mean_error, text.cosine, text.top1, text.differed) == (None, None, None, 1)


def test_what_a_process_has_counted_is_told_apart_from_the_report() -> None:
    first = tally()
    add(first, AGREED)
    second = Tally(first.report, Counts(differed=7))
    add(second, AGREED)
    assert second.report.counts == Counts(2)
    assert second.status() == {"agreed": 1, "differed": 7, "unreadable": 0, "window": None}


def test_failures_are_no_latencies() -> None:
    counted = tally()
    failed = Difference("differed", "the candidate failed: HTTP 503 busy", math.inf)
    counted.add(exchange(answer({}), refusal(503, "busy")), failed)
    report = counted.report
    assert report.failed == 1
    assert report.problems == {failed.reason: 1}
    assert report.baseline_latency == report.candidate_latency == {}
    assert [case.error for case in report.worst] == [None]


def test_the_worst_cases_stay_and_infinite_ones_leave_room() -> None:
    counted = tally()
    for number in range(60):
        add(counted, differed(1 + number % 30), number, request_id=f"r{number}")
        add(counted, differed(math.inf), number, request_id=f"i{number}")
    worst = counted.report.worst
    assert [case.request_id for case in worst[:10]] == [f"i{number}" for number in range(59, 49, -1)]
    assert [case.error for case in worst[10:]] == [30, 30, 29, 29, 28, 28, 27, 27, 26, 26]
    assert worst[10].request_id == "r59"


def test_what_agrees_with_an_error_is_a_case_too() -> None:
    counted = tally()
    add(counted, Difference("agreed", "", 1e-6, {"y": output(1e-6, agrees=True)}))
    add(counted, AGREED)
    assert [(case.error, case.verdict) for case in counted.report.worst] == [(1e-6, "agreed")]


def test_nothing_grows_without_bound() -> None:
    counted = tally()
    for number in range(200):
        outputs = {f"y{number}-{each}": output() for each in range(20)}
        add(counted, Difference("differed", "x" * 1000, number, outputs), number * 86400)
        add(counted, Difference("unreadable", f"{number} " * 500), number, epoch=str(number))
    report = counted.report
    assert len(report.outputs) == 64
    assert len(report.worst) == 20
    assert max(len(case.outputs) for case in report.worst) == 8
    assert len(report.problems) == 21
    assert report.problems["others"] == 180
    assert len(report.timeline.periods) <= 120
    assert len(report.encoded()) < 200_000


@given(st.lists(st.floats(START, START + 10**9), min_size=1, max_size=60))
def test_periods_hold_all_however_long_it_takes(moments: list[float]) -> None:
    timeline = Timeline()
    for moment in moments:
        period_of(timeline, moment).agreed += 1
    assert sum(counts.agreed for counts in timeline.periods.values()) == len(moments)
    assert max(timeline.periods) - min(timeline.periods) < 120
    assert {int(moment // timeline.width) for moment in moments} == timeline.periods.keys()


@given(st.floats(1e-15, 1e30))
def test_an_error_lies_in_its_bin(error: float) -> None:
    number = error_bin(error)
    assert error_of(number) <= error * (1 + 1e-9)
    assert error < error_of(number + 1) * (1 + 1e-9)


def test_the_ends_of_the_axis_hold_the_rest() -> None:
    assert error_bin(5e-324) == -80
    assert error_bin(1e300) == 160
