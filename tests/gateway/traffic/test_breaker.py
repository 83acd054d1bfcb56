from hypothesis import given
from hypothesis import strategies as st

from gateway.traffic.breaker import FAILURES, FIRST_SECONDS, MOST_SECONDS, Breaker


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES):
        assert breaker.admits(now)
        breaker.failed(now)
    return breaker


def test_it_opens_after_some_failures_in_a_row() -> None:
    breaker = Breaker()
    assert [breaker.failed(0.0) for _ in range(FAILURES)] == [False] * (FAILURES - 1) + [True]
    assert breaker.open
    assert not breaker.admits(0.0)


def test_a_success_between_them_begins_the_count_anew() -> None:
    breaker = Breaker()
    for _ in range(20):
        for _ in range(FAILURES - 1):
            breaker.failed(0.0)
        assert not breaker.succeeded()
    assert not breaker.open


def test_one_probe_after_the_pause() -> None:
    breaker = opened()
    assert not breaker.admits(FIRST_SECONDS - 0.01)
    assert breaker.admits(FIRST_SECONDS)
    assert not breaker.admits(FIRST_SECONDS)
    assert not breaker.admits(FIRST_SECONDS + 100)


def test_a_probe_that_is_answered_closes_it() -> None:
    breaker = opened()
    breaker.admits(FIRST_SECONDS)
    assert breaker.succeeded()
    assert [breaker.admits(FIRST_SECONDS) for _ in range(3)] == [True] * 3


def test_probes_that_fail_double_the_pause_up_to_a_limit() -> None:
    breaker, now, pauses = opened(), 0.0, []
    for _ in range(8):
        pause = 0.0
        while not breaker.admits(now + pause):
            pause += 0.25
        now += pause
        pauses.append(pause)
        assert not breaker.failed(now)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, MOST_SECONDS, MOST_SECONDS, MOST_SECONDS]


def test_failures_of_what_was_sent_before_it_opened_do_not_lengthen_the_pause() -> None:
    breaker = opened()
    for _ in range(11):
        assert not breaker.failed(0.5)
    assert breaker.admits(FIRST_SECONDS)


def test_a_late_answer_of_what_was_sent_before_closes_it() -> None:
    breaker = opened()
    assert breaker.succeeded()
    assert breaker.admits(0.5)


def test_after_a_probe_of_which_nothing_is_known_another_goes() -> None:
    breaker = opened()
    breaker.admits(FIRST_SECONDS)
    breaker.abandoned()
    assert breaker.admits(FIRST_SECONDS)


@given(st.lists(st.tuples(st.sampled_from(["succeeded", "failed", "abandoned"]), st.floats(0, 60))))
def test_whatever_happens_it_tries_again_within_the_longest_pause(steps: list[tuple[str, float]]) -> None:
    breaker, now = Breaker(), 0.0
    for what, seconds in steps:
        now += seconds
        if breaker.admits(now):
            breaker.failed(now) if what == "failed" else getattr(breaker, what)()
    assert breaker.admits(now + MOST_SECONDS)
