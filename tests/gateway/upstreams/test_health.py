import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.call import Protocol
from gateway.upstreams.health import MAX_EJECT_SECONDS, MAX_PENALTY, PENALTY, Health, Outcome

HTTP, GRPC = Protocol.HTTP, Protocol.GRPC


def test_failures_in_a_row_eject_and_a_success_between_starts_over() -> None:
    health = Health(eject_after=3, eject_seconds=5)
    assert [health.failed(HTTP, 0), health.failed(HTTP, 0)] == [None, None]
    health.succeeded(HTTP)
    assert [health.failed(HTTP, 0), health.failed(HTTP, 0)] == [None, None]
    assert health.failed(HTTP, 0) == 5
    assert not health.fit
    assert health.ejected_until == 5


def test_a_port_that_is_dead_is_noticed_while_the_other_answers() -> None:
    health = Health(eject_after=3, eject_seconds=5)
    for _ in range(2):
        assert health.failed(GRPC, 0) is None
        health.succeeded(HTTP)
    assert health.failures == 2
    assert health.failed(GRPC, 0) == 5
    health.returned()
    health.succeeded(HTTP)
    assert health.failed(GRPC, 5) == 10


def test_who_is_left_out_already_is_not_left_out_again() -> None:
    health = Health(eject_after=1, eject_seconds=5)
    assert health.failed(HTTP, 0) == 5
    assert health.failed(HTTP, 1) is None


def test_the_time_doubles_up_to_a_minute_and_one_failure_ends_the_trial() -> None:
    health, now, times = Health(eject_after=5, eject_seconds=5), 0.0, []
    for _ in range(4):
        health.failed(HTTP, now)
    for _ in range(6):
        seconds = health.failed(HTTP, now)
        assert seconds is not None
        times.append(seconds)
        now += seconds
        health.returned()
        assert health.fit
    assert times == [5, 10, 20, 40, MAX_EJECT_SECONDS, MAX_EJECT_SECONDS]


def test_a_long_time_without_ejection_makes_the_next_one_short_again() -> None:
    health = Health(eject_after=1, eject_seconds=5)
    assert health.failed(HTTP, 0) == 5
    health.returned()
    assert health.failed(HTTP, 5) == 10
    health.returned()
    assert health.failed(HTTP, 15 + MAX_EJECT_SECONDS) == 5


def test_checks_say_what_is_new_and_an_answer_ends_an_ejection_only_after_silence() -> None:
    health = Health(eject_after=1, eject_seconds=5)
    health.failed(HTTP, 0)
    assert not health.checked(Outcome.ANSWERED)  # its other port may be the trouble
    assert health.checked(Outcome.UNREACHABLE)
    seen = [health.reachable]
    assert health.checked(Outcome.SILENT)
    assert [*seen, health.reachable] == [False, True]
    assert not health.checked(Outcome.SILENT)
    assert health.checked(Outcome.ANSWERED)
    assert health.fit
    assert health.failures == 0


def test_other_settings_hold_from_now_on() -> None:
    health = Health(eject_after=5, eject_seconds=5)
    health.failed(HTTP, 0)
    health.tune(2, 30)
    assert health.failed(HTTP, 0) == 30


def test_a_failure_weighs_less_and_less() -> None:
    health = Health(eject_after=5, eject_seconds=5)
    assert health.penalty(0) == 0
    health.failed(HTTP, 10)
    assert health.penalty(10) == PENALTY
    assert health.penalty(12) == pytest.approx(PENALTY / 2)
    health.failed(HTTP, 12)
    assert health.penalty(12) == pytest.approx(1.5 * PENALTY)
    assert health.penalty(100) == 0


def test_many_failures_do_not_weigh_for_ever() -> None:
    health = Health(eject_after=5, eject_seconds=5)
    for _ in range(50):
        health.failed(Protocol.HTTP, 10)
    assert health.penalty(10) == MAX_PENALTY
    health.checked(Outcome.UNREACHABLE)
    assert health.penalty(10) == MAX_PENALTY
    health.checked(Outcome.ANSWERED)
    assert health.penalty(10) == 0


@given(st.lists(st.tuples(st.sampled_from(["failed", "succeeded"]), st.floats(0, 10)), max_size=40))
def test_it_is_ejected_exactly_after_so_many_failures_in_a_row(events: list[tuple[str, float]]) -> None:
    health, now, row = Health(eject_after=4, eject_seconds=1), 0.0, 0
    for event, pause in events:
        now += pause
        if event == "succeeded":
            health.succeeded(HTTP)
            row = 0
            continue
        row += 1
        seconds = health.failed(HTTP, now)
        assert (seconds is not None) == (row == 4)
        if seconds is not None:
            assert 1 <= seconds <= MAX_EJECT_SECONDS
            health.checked(Outcome.SILENT)
            health.checked(Outcome.ANSWERED)
            row = 0
