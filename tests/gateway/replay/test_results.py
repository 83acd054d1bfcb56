from typing import Any

import pytest

from gateway.replay.judge import Outcome, expected_of, judged
from gateway.replay.results import Results
from gateway.tap.report.model import Report
from gateway.traffic.mirror_sections import CompareSection
from tests.gateway.replay.model import recorded

SECTION = CompareSection()


def results(several: bool = False) -> Results:
    return Results(Report("r", "m", SECTION.model_dump()), several)


def add(into: Results, number: float = 1.0, factor: float = 1.0, failure: str = "", **more: Any) -> None:
    request = recorded(number, **more)
    outputs = (
        [] if failure else [t.__class__(t.name, t.datatype, t.shape, t.data * factor) for t in request.outputs or ()]
    )
    got = Outcome("http://it", "echo", "", 0.01, tuple(outputs), failure)
    expected = expected_of(request)
    into.add(request, got, expected, None if expected is None else judged(expected, got, SECTION))


def test_what_came_of_each_is_counted() -> None:
    counted = results()
    add(counted)
    add(counted, factor=2)
    add(counted, failure="no")
    add(counted, outputs=None)
    add(counted, redacted=("in/x", "parameters"))
    add(counted, redacted=("parameters", "out/y"))
    told = counted.as_dict()
    assert {key: told[key] for key in ("sent", "failed", "agreed", "differed", "not_compared")} == {
        "sent": 6, "failed": 1, "agreed": 1, "differed": 2, "not_compared": 3,
    }  # fmt: skip
    assert (told["redacted"], told["without_parameters"], told["failures"]) == (1, 2, {"no": 1})
    assert told["agreement_percent"] == pytest.approx(100 / 3)
    assert told["latency_seconds"]["candidate"]["p99"] == pytest.approx(0.01, rel=0.02)
    assert told["latency_seconds"]["baseline"]["p50"] == pytest.approx(0.004, rel=0.02)
    assert counted.report.worst[0].reason == "the candidate failed: no"


def test_nothing_was_compared() -> None:
    counted = results()
    add(counted, outputs=None)
    assert (counted.agreement, counted.percentiles("baseline"), counted.failed) == (None, None, 0)


def test_the_worst_can_be_found_in_the_log() -> None:
    counted = results()
    add(counted, 5.0, 2)
    add(counted, 1.0, 2, request_id="mine")
    assert [case.request_id for case in counted.report.worst] == ["", "mine"]
    assert counted.report.worst[0].arrived == pytest.approx(recorded(5.0).arrived / 1e9, abs=1e-6)


def test_outputs_of_several_models_are_told_apart() -> None:
    counted = results(several=True)
    add(counted)
    add(counted, model="other")
    assert sorted(counted.report.outputs) == ["echo/y", "other/y"]


def test_kinds_of_failures_are_bounded() -> None:
    counted = results()
    for number in range(30):
        add(counted, failure=f"{number} " + "x" * 500)
    assert len(counted.failures) == 21
    assert counted.failures["others"] == 10
    assert counted.failed == 30
    assert max(map(len, counted.failures)) == 200
