import json
from dataclasses import replace

import pytest

from gateway.control.canary.evidence import Evidence, Sample
from gateway.control.canary.machine import (
    abort,
    begin,
    decide,
    pause,
    promote,
    resume,
    shadow_percent,
    take_back,
    wait,
    weights,
)
from gateway.control.canary.state import CanaryState
from gateway.core.errors import InvalidRequest
from gateway.traffic.canary_sections import CanarySection

SECTION = CanarySection(candidate="new", steps=(5.0, 50.0, 100.0), bake_seconds=60.0, least_requests=100)
MANUAL = CanarySection(candidate="new", steps=(5.0, 100.0), bake_seconds=60.0, promotion="manual")


def evidence(served: int, *, failed: int = 0, differed: int = 0) -> Evidence:
    """As of a candidate at 5 %, a quarter of the baseline's requests copied; all latencies alike."""
    copies = 5 * served
    return Evidence(
        Sample(19 * served, 0, {500: 10 * served, 510: 9 * served}),
        Sample(served - failed, failed, {500: (served + 1) // 2, 510: served // 2}),
        copies,
        0,
        copies - differed,
        differed,
    )


def test_a_good_candidate_goes_all_the_way() -> None:
    state, now, shares, actions = begin(SECTION, 1000.0), 1000.0, [], []
    while not state.is_over:
        now += 1
        shares.append(weights(SECTION, state))
        decision = decide(SECTION, state, evidence(int(4 * (now - state.since))), now)
        state = decision.state
        if decision.action != "hold":
            actions.append((now, decision.action))
    assert actions == [(1060.0, "advance"), (1120.0, "advance"), (1180.0, "promote")]
    assert sorted(set(shares)) == [5.0, 50.0, 100.0]
    assert (state.phase, weights(SECTION, state), state.epoch) == ("promoted", 100.0, "")
    assert [event.action for event in state.history] == ["begin", "advance", "advance", "promote"]


def test_a_step_needs_its_time_and_its_requests() -> None:
    state = begin(SECTION, 0.0)
    decision = decide(SECTION, state, evidence(99), 59.0)
    assert decision.action == "hold"
    assert decision.sentence.startswith("59 of 60 seconds and 99 of 100 requests")
    assert decide(SECTION, state, evidence(99), 600.0).action == "hold"
    assert decide(SECTION, state, evidence(100), 59.9).action == "hold"
    assert decide(SECTION, state, evidence(100), 60.0).action == "advance"


def test_the_agreement_needs_a_sample() -> None:
    alone = replace(evidence(1000), agreed=0)
    decision = decide(SECTION, begin(SECTION, 0.0), alone, 600.0)
    assert decision.action == "hold"
    assert "agreement: 0 pairs of answers, needs 10" in decision.sentence
    assert decide(SECTION, decision.state, evidence(1000), 601.0).action == "advance"
    doubtful = decide(SECTION, decision.state, evidence(1000, differed=36), 601.0)
    assert doubtful.action == "hold"
    assert doubtful.sentence == "agreement 99.28 % looks worse, but may be luck: needs more requests"
    assert decide(SECTION, doubtful.state, evidence(1100, differed=80), 700.0).action == "roll_back"
    without = SECTION.model_copy(update={"shadow_percent": 0.0})
    assert decide(without, begin(without, 0.0), alone, 600.0).action == "advance"


def test_a_bad_candidate_is_taken_back_at_once() -> None:
    decision = decide(SECTION, begin(SECTION, 0.0), evidence(100, failed=20), 5.0)
    assert decision.action == "roll_back"
    assert (decision.state.phase, weights(SECTION, decision.state)) == ("rolled_back", 0.0)
    assert decision.sentence.startswith("at 5 %: errors: 20 of 600 requests fail (500 of them copies) and 0 of")
    assert decision.sentence.removeprefix("at 5 %: ") in decision.state.history[-1].sentence
    assert "; p50: " in decision.state.history[-1].sentence
    again = decide(SECTION, decision.state, evidence(1000), 500.0)
    assert (again.action, again.state) == ("hold", decision.state)


def test_between_two_looks_nothing_is_judged() -> None:
    looked = decide(SECTION, begin(SECTION, 0.0), evidence(100), 10.0).state
    assert looked.looked == {"errors": 600, "p50": 100, "p95": 100, "p99": 100, "agreement": 500}
    assert decide(SECTION, looked, evidence(110, failed=110), 11.0).action == "hold"
    assert decide(SECTION, looked, evidence(150, failed=149), 12.0).action == "roll_back"


def test_before_a_step_ends_there_is_a_last_look() -> None:
    looked = decide(SECTION, begin(SECTION, 0.0), evidence(100), 10.0).state
    assert decide(SECTION, looked, evidence(149, failed=149), 60.0).action == "roll_back"


def test_a_doubtful_candidate_stays_where_it_is() -> None:
    decision = decide(SECTION, begin(SECTION, 0.0), evidence(200, failed=4), 100.0)
    assert decision.action == "hold"
    assert decision.sentence.startswith("errors 0.333 % against 0 %")
    assert decide(SECTION, decision.state, evidence(10_000, failed=4), 101.0).action == "hold"
    assert decide(SECTION, decision.state, evidence(400), 101.0).action == "advance"


def test_every_step_has_its_own_window() -> None:
    first = begin(SECTION, 0.0)
    second = decide(SECTION, first, evidence(100), 60.0).state
    assert first.epoch != second.epoch
    assert (second.looked, second.verdicts, second.since) == ({}, (), 60.0)


def test_lost_evidence_is_looked_at_anew() -> None:
    looked = decide(SECTION, begin(SECTION, 0.0), evidence(5000), 10.0).state
    fewer = decide(SECTION, looked, evidence(3), 11.0).state
    assert fewer.looked["p50"] == 3
    assert decide(SECTION, fewer, evidence(100, failed=20), 20.0).action == "roll_back"


def test_a_pause_keeps_the_share_and_does_not_count() -> None:
    paused = pause(SECTION, begin(SECTION, 0.0), 50.0)
    assert (weights(SECTION, paused), shadow_percent(SECTION, paused)) == (5.0, 0.0)
    assert decide(SECTION, paused, evidence(100, failed=100), 1000.0).state == paused
    running = resume(SECTION, paused, 1050.0)
    assert running.since == 1000.0
    assert running.epoch == paused.epoch
    assert decide(SECTION, running, evidence(100), 1059.0).action == "hold"
    assert decide(SECTION, running, evidence(100), 1060.0).action == "advance"


def test_an_operator_may_end_it() -> None:
    for state in (begin(SECTION, 0.0), pause(SECTION, begin(SECTION, 0.0), 1.0)):
        aborted = abort(SECTION, state, 2.0)
        assert (aborted.phase, weights(SECTION, aborted), aborted.epoch) == ("aborted", 0.0, "")
        assert shadow_percent(SECTION, aborted) == 0.0


def test_manual_promotion_waits_for_the_operator() -> None:
    state = begin(MANUAL, 0.0)
    decision = decide(MANUAL, state, evidence(1000), 600.0)
    assert decision.action == "hold"
    assert decision.sentence.startswith("waits for `canary promote`: 1,000 requests, errors 0 %")
    second = promote(MANUAL, decision.state, 601.0)
    assert (second.phase, weights(MANUAL, second), second.since) == ("running", 100.0, 601.0)
    assert promote(MANUAL, second, 700.0).phase == "promoted"


def test_an_operator_may_skip_all_steps() -> None:
    assert promote(SECTION, begin(SECTION, 0.0), 1.0, fully=True).phase == "promoted"


def test_with_all_requests_there_is_nothing_to_copy_or_to_compare() -> None:
    last = replace(begin(SECTION, 0.0), step=2)
    assert (weights(SECTION, last), shadow_percent(SECTION, last)) == (100.0, 0.0)
    assert decide(SECTION, last, Evidence(candidate=Sample(0, 500)), 30.0).verdicts == ()
    assert decide(SECTION, last, Evidence(candidate=Sample(500)), 60.0).action == "promote"


def test_what_cannot_be_is_refused() -> None:
    running = begin(SECTION, 0.0)
    over = abort(SECTION, running, 1.0)
    with pytest.raises(InvalidRequest, match="a canary that is aborted cannot be paused; running is needed"):
        pause(SECTION, over, 2.0)
    with pytest.raises(InvalidRequest, match="a canary that is running cannot be resumed; paused is needed"):
        resume(SECTION, running, 2.0)
    with pytest.raises(InvalidRequest, match="cannot be aborted; waiting or running or paused is needed"):
        abort(SECTION, over, 2.0)
    with pytest.raises(InvalidRequest, match="cannot be promoted"):
        promote(SECTION, over, 2.0)


def test_it_goes_on_after_a_restart() -> None:
    state = decide(SECTION, begin(SECTION, 0.25), evidence(120), 30.0).state
    again = CanaryState.of(json.loads(json.dumps(state.as_dict())))
    assert again == state
    assert decide(SECTION, again, evidence(240), 90.0).action == "advance"


def test_a_section_with_fewer_steps_is_no_trouble() -> None:
    late = replace(begin(SECTION, 0.0), step=4)
    assert weights(MANUAL, late) == 100.0


def test_copies_alone_convict_a_candidate_that_no_client_has_met() -> None:
    copies = Evidence(Sample(300, 0, {500: 300}), agreed=0, differed=12, shadow_ok=12)
    decision = decide(SECTION, begin(SECTION, 0.0), copies, 5.0)
    assert decision.action == "roll_back"
    assert "12 of 12 answers differ" in decision.sentence


def test_a_gate_that_is_judged_for_the_first_time_has_a_budget() -> None:
    """What is compared comes later than what was served: a look that could not judge has spent nothing."""
    early = decide(SECTION, begin(SECTION, 0.0), replace(evidence(5000), agreed=0), 70.0)
    assert "agreement" not in {gate for gate, seen in early.state.looked.items() if seen}
    late = decide(SECTION, early.state, replace(evidence(5000), agreed=0, differed=25_000), 71.0)
    assert late.action == "roll_back"
    assert all(verdict.needed > 0 for verdict in late.verdicts)


def test_no_budget_is_spent_twice() -> None:
    state, spent = begin(SECTION, 0.0), dict.fromkeys(("errors", "p50", "p95", "p99", "agreement"), 0.0)
    for second in range(1, 400):
        decision = decide(SECTION, state, evidence(second * 7), float(second % 50))
        for before, now in zip(state.verdicts or decision.verdicts, decision.verdicts, strict=True):
            if now.chance is not None and (before is now) == (not state.verdicts):
                spent[now.gate] += now.needed
        state = decision.state
    assert 0 < sum(spent.values()) <= SECTION.false_alarm_percent / 100


def test_a_candidate_that_waits_has_nothing_and_may_be_made_to_begin() -> None:
    waiting = wait(0.0, "waits for its model")
    assert (weights(SECTION, waiting), shadow_percent(SECTION, waiting), waiting.epoch) == (0.0, 0.0, "")
    assert decide(SECTION, waiting, evidence(1000), 600.0).action == "hold"
    assert promote(SECTION, waiting, 1.0) == begin(SECTION, 1.0)
    assert promote(SECTION, waiting, 1.0, fully=True).phase == "promoted"
    assert abort(SECTION, waiting, 1.0).phase == "aborted"


def test_what_is_gone_is_taken_back() -> None:
    decision = take_back(SECTION, begin(SECTION, 0.0), 5.0, "it is gone")
    assert (decision.state.phase, decision.sentence) == ("rolled_back", "at 5 %: it is gone")


def test_a_clock_that_is_set_back_costs_no_more_than_the_step() -> None:
    state = decide(SECTION, begin(SECTION, 10_000.0), evidence(100), 500.0).state
    assert state.since == 500.0
    assert decide(SECTION, state, evidence(150), 560.0).action == "advance"


def test_a_line_about_a_candidate_that_fails_everything_fits_a_log() -> None:
    slow = {900: 10_000}
    awful = Evidence(Sample(10**6, 0, {500: 10**6}), Sample(10_000, 10_000, slow), 0, 10**6, 0, 10**6)
    decision = decide(SECTION, begin(SECTION, 0.0), awful, 600.0)
    assert decision.action == "roll_back"
    assert len(decision.sentence) < 250
    assert decision.sentence.endswith("; and so p50, p95, p99, agreement")
    good = decide(SECTION, begin(SECTION, 0.0), evidence(10**6), 600.0)
    assert len(good.sentence) < 200
