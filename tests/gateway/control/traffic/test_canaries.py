import json

import pytest

from gateway.control.traffic.canaries import Canary
from gateway.control.traffic.candidates import Standing
from gateway.control.traffic.refusals import NotNow
from gateway.traffic.sections import RouteSection
from tests.gateway.control.traffic.rig import CANARY, SHADOW, START

ROUTE = RouteSection.model_validate(CANARY)
READY = Standing(is_ready=True, is_gone=False, name="fraud version 2")
LOADING = Standing(is_ready=False, is_gone=False, name="fraud version 2")
GONE = Standing(is_ready=False, is_gone=True, name="fraud version 2", trouble="out of memory")


@pytest.fixture
def canary() -> Canary:
    canary = Canary(ROUTE, None, START)
    assert canary.decide({}, READY, START) == "begins with 5 %"
    return canary


def test_it_begins_with_the_first_step(canary: Canary) -> None:
    assert (canary.baseline, canary.candidate) == ("old", "new")
    assert (canary.phase, canary.percent, canary.shadow_percent, canary.is_under_way) == ("running", 5, 50, True)
    assert canary.weights == {"new": 5, "old": 95}
    assert canary.says == "begins with 5 %"


def test_evidence_comes_from_what_was_counted(canary: Canary) -> None:
    window = {
        "variants": {"old": {"ok": 9, "failed": 1, "latency": {"500": 10}}, "new": {"ok": 2, "failed": 0}},
        "mirrors": {SHADOW: {"ok": 3, "failed": 1}, "other": {"ok": 99, "failed": 99}},
        "compared": {SHADOW: {"agreed": 2, "differed": 1}, "other": {"agreed": 99, "differed": 0}},
    }
    evidence = canary.evidence(window)
    assert (evidence.baseline.ok, evidence.baseline.failed, evidence.baseline.latency) == (9, 1, {500: 10})
    assert evidence.candidate.served == 2
    assert (evidence.shadow_ok, evidence.shadow_failed, evidence.agreed, evidence.differed) == (3, 1, 2, 1)
    assert canary.evidence({}).candidate.served == 0


def test_while_nothing_is_known_it_says_what_is_missing(canary: Canary) -> None:
    assert canary.decide({}, READY, START + 30) is None
    assert "30 of 60 seconds" in canary.says
    assert "0 of 100 requests" in canary.says


def test_operators_are_told_what_was_done_and_what_cannot_be(canary: Canary) -> None:
    assert canary.operate("pause", START) == "paused at 5 %"
    assert canary.decide({}, READY, START + 1e6) is None
    assert canary.operate("resume", START) == "resumed at 5 %"
    with pytest.raises(NotNow, match="it is at 5 %"):
        canary.operate("resume", START)
    assert canary.operate("promote", START).startswith("promoted from 5 % to 50 %")
    assert canary.operate("abort", START) == "aborted at 50 %: everything goes to old"
    assert not canary.is_under_way
    with pytest.raises(NotNow, match="`canary restart fraud` begins anew"):
        canary.operate("abort", START)
    assert canary.operate("restart", START + 1) == "begins anew"


def test_it_goes_on_from_what_was_remembered(canary: Canary) -> None:
    canary.operate("promote", START)
    canary.decide({"variants": {"old": {"ok": 50}, "new": {"ok": 50}}}, READY, START + 1)
    again = Canary(ROUTE, json.loads(json.dumps(canary.as_dict())), START + 9)
    assert again.state == canary.state


@pytest.mark.parametrize("nonsense", [{}, {"phase": "running"}, {"verdicts": None, "history": []}])
def test_nonsense_is_not_gone_on_from(nonsense: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="Error"):
        Canary(ROUTE, nonsense, START)


@pytest.mark.parametrize(("key", "value"), [("looked", 5), ("since", "now"), ("step", None)])
def test_nor_is_what_only_looks_like_it(canary: Canary, key: str, value: object) -> None:
    with pytest.raises(ValueError, match="Error"):
        Canary(ROUTE, {**canary.as_dict(), key: value}, START)


def test_the_summary_is_for_programs(canary: Canary) -> None:
    told = canary.summary()
    assert json.loads(json.dumps(told)) == told
    assert (told["phase"], told["step"], told["steps"], told["percent"]) == ("running", 0, [5, 50, 100], 5)


def test_it_waits_until_its_candidate_is_loaded_and_says_once_what_is_wrong() -> None:
    canary = Canary(ROUTE, None, START)
    assert (canary.phase, canary.weights, canary.shadow_percent) == ("waiting", {"new": 0, "old": 100}, 0)
    told = [canary.decide({}, each, START + n) for n, each in enumerate((LOADING, LOADING, GONE, LOADING, GONE, READY))]
    waits = "waits until fraud version 2 is loaded"
    assert told == [waits, None, f"{waits}; now: out of memory", None, None, "begins with 5 %"]
    assert (canary.state.since, canary.percent) == (START + 5, 5)


def test_an_operator_need_not_wait_with_it() -> None:
    canary = Canary(ROUTE, None, START)
    assert canary.operate("promote", START) == "promoted begins with 5 %"
    assert canary.percent == 5
    canary = Canary(ROUTE, None, START)
    canary.operate("abort", START)
    assert canary.decide({}, READY, START) is None


def test_a_candidate_that_disappears_is_taken_back(canary: Canary) -> None:
    assert canary.decide({}, GONE, START + 1) is None
    assert canary.decide({}, LOADING, START + 2) is None
    assert canary.decide({}, GONE, START + 3) is None
    assert canary.decide({}, GONE, START + 4) is None
    line = canary.decide({}, GONE, START + 5)
    assert line == "rolled back at 5 %: fraud version 2 is not loaded any more: out of memory"
    assert canary.weights == {"new": 0, "old": 100}


def test_the_reason_of_failures_is_told_rather_than_their_number(canary: Canary) -> None:
    failing = {"variants": {"old": {"ok": 900}, "new": {"failed": 90}}}
    line = canary.decide(failing, GONE, START + 1)
    assert line == "rolled back at 5 %: fraud version 2 is not loaded any more: out of memory"
