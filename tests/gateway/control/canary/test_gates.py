import json

import pytest

from gateway.control.canary.evidence import Evidence, Sample
from gateway.control.canary.gates import Verdict, judge, judged, seen_by
from gateway.traffic.canary_sections import CanarySection, GatesSection, LatencyGate
from gateway.traffic.latency import bin_of

SECTION = CanarySection(candidate="new")
USUAL = {bin_of(0.02) + number: 100 for number in range(40)}  # 4,000 requests of 20 to 44 ms
FAST = {number: count // 20 for number, count in USUAL.items()}


def slowed(histogram: dict[int, int], times: float) -> dict[int, int]:
    return {number + bin_of(times) - bin_of(1): count for number, count in histogram.items()}


def test_errors_count_clients_requests_and_copies_together() -> None:
    evidence = Evidence(Sample(3800, 0), Sample(198, 2), shadow_ok=940, shadow_failed=10)
    verdict = judge("errors", SECTION, evidence, 1e-5)
    assert verdict.outcome == "fail"
    assert verdict.sentence == (
        "errors: 12 of 1,150 requests fail (950 of them copies) and 0 of the baseline's 3,800, 1.04 % against 0 %, "
        "allowed 0 points more (by luck: 2.4e-08, alarm from 1.0e-05 down)"
    )


def test_more_errors_that_may_be_chance_wait_for_more_requests() -> None:
    assert judge("errors", SECTION, Evidence(Sample(3800, 0), Sample(198, 2)), 1e-5).outcome == "wait"


def test_errors_that_are_allowed_pass() -> None:
    section = CanarySection(candidate="new", gates=GatesSection(errors=2.0))
    assert judge("errors", section, Evidence(Sample(38000, 0), Sample(1980, 20)), 1e-3).outcome == "pass"
    assert judge("errors", section, Evidence(Sample(38000, 0), Sample(1900, 100)), 1e-3).outcome == "fail"


def test_errors_just_beyond_what_is_allowed_are_not_yet_too_many() -> None:
    section = CanarySection(candidate="new", gates=GatesSection(errors=1.0))
    verdict = judge("errors", section, Evidence(Sample(38000, 0), Sample(989, 11)), 1e-3)
    assert verdict.outcome == "wait"
    assert "if it were just as bad as is allowed: 0.42, from 0.2 down" in verdict.sentence


@pytest.mark.parametrize("gate", ["p50", "p95", "p99"])
def test_the_same_latency_passes(gate: str) -> None:
    verdict = judge(gate, SECTION, Evidence(Sample(4000, 0, USUAL), Sample(200, 0, FAST)), 1e-4)
    assert verdict.outcome == "pass"
    assert verdict.chance is not None
    assert verdict.chance > 0.3


@pytest.mark.parametrize(("gate", "times"), [("p50", 1.3), ("p95", 1.5), ("p99", 1.6)])
def test_a_slower_candidate_fails(gate: str, times: float) -> None:
    slow = slowed(FAST, times)
    verdict = judge(gate, SECTION, Evidence(Sample(4000, 0, USUAL), Sample(200, 0, slow)), 1e-4)
    assert verdict.outcome == "fail"
    assert verdict.needed == 1e-4


def test_the_sentence_has_all_the_numbers() -> None:
    slow = slowed(FAST, 1.3)
    verdict = judge("p50", SECTION, Evidence(Sample(4000, 0, USUAL), Sample(200, 0, slow)), 1e-4)
    assert verdict.sentence.startswith(
        "p50: 38.0 ms against 29.4 ms, 29.4 % slower, allowed 10 %, 200 and 4,000 requests (by luck: "
    )
    assert "alarm from 1.0e-04 down" in verdict.sentence


def test_slower_by_less_than_allowed_passes_however_sure_it_is() -> None:
    many = {number: count * 1000 for number, count in USUAL.items()}
    slow = slowed(many, 1.06)
    for gate in ("p50", "p95", "p99"):
        assert (
            judge(gate, SECTION, Evidence(Sample(4_000_000, 0, many), Sample(4_000_000, 0, slow)), 1e-4).outcome
            == "pass"
        )


def test_answers_that_differ_more_often_than_allowed_fail() -> None:
    verdict = judge("agreement", SECTION, Evidence(agreed=931, differed=19), 1e-5)
    assert verdict.outcome == "fail"
    assert verdict.sentence == (
        "agreement: 19 of 950 answers differ, 2 % where at most 0.5 % may (by luck: 6.0e-07, alarm from 1.0e-05 down)"
    )
    assert judge("agreement", SECTION, Evidence(agreed=949, differed=1), 1e-5).outcome == "pass"
    assert judge("agreement", SECTION, Evidence(agreed=940, differed=10), 1e-5).outcome == "wait"


def test_who_allows_no_difference_gets_none() -> None:
    section = CanarySection(candidate="new", gates=GatesSection(agreement=100.0))
    assert judge("agreement", section, Evidence(agreed=10**6, differed=1), 0.0).outcome == "fail"


@pytest.mark.parametrize(
    ("gate", "sentence"),
    [
        ("errors", "errors: 9 requests and 4,000 of the baseline's, needs 10"),
        ("p95", "p95: 9 requests and 4,000 of the baseline's, needs 10"),
        ("agreement", "agreement: 3 pairs of answers, needs 10"),
    ],
)
def test_few_requests_say_nothing(gate: str, sentence: str) -> None:
    evidence = Evidence(Sample(4000, 0, USUAL), Sample(9, 0, {300: 9}), agreed=3)
    assert judge(gate, SECTION, evidence, 1e-4) == Verdict(gate, "wait", sentence, brief=sentence)


def test_a_candidate_of_which_every_request_fails_has_no_latency() -> None:
    assert judge("p50", SECTION, Evidence(Sample(4000, 0, USUAL), Sample(0, 90)), 1e-4).outcome == "wait"


def test_what_is_judged() -> None:
    assert judged(SECTION, 5) == ("errors", "p50", "p95", "p99", "agreement")
    assert judged(SECTION, 100) == ()
    assert "agreement" not in judged(CanarySection(candidate="new", shadow_percent=0), 5)
    off = GatesSection(errors=None, latency=LatencyGate(p50=None, p99=None), agreement=None)
    assert judged(CanarySection(candidate="new", gates=off), 5) == ("p95",)


def test_a_verdict_outlives_the_process_as_json() -> None:
    verdict = judge("agreement", SECTION, Evidence(agreed=931, differed=19), 1e-5)
    assert Verdict.of(json.loads(json.dumps(verdict.as_dict()))) == verdict


def test_what_luck_cannot_explain_is_said_so() -> None:
    verdict = judge("agreement", SECTION, Evidence(differed=428), 6.2e-8)
    assert verdict.sentence == (
        "agreement: 428 of 428 answers differ, 100 % where at most 0.5 % may (by luck: below 1e-300, "
        "alarm from 6.2e-08 down)"
    )
    assert (verdict.brief, verdict.surprise) == ("agreement 0.00 %", 0)


def test_a_gate_knows_how_much_it_has_seen() -> None:
    evidence = Evidence(Sample(50), Sample(5, 2, {500: 4}), shadow_ok=20, shadow_failed=1, agreed=15, differed=2)
    assert [seen_by(gate, evidence) for gate in ("errors", "p50", "p99", "agreement")] == [28, 4, 4, 17]
