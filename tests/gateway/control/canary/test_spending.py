import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.canary.spending import is_look_due, share_of_gate, share_of_look, share_of_step

GATES = ("errors", "p50", "p95", "p99", "agreement")


@pytest.mark.parametrize("judged_steps", [1, 2, 3, 4, 20])
def test_the_steps_share_the_whole_budget(judged_steps: int) -> None:
    shares = [share_of_step(step, judged_steps) for step in range(judged_steps)]
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)


@given(st.sets(st.sampled_from(GATES), min_size=1))
def test_the_gates_that_are_judged_share_a_steps_budget(judged: set[str]) -> None:
    assert sum(share_of_gate(gate, judged) for gate in judged) == pytest.approx(1)


@given(st.lists(st.integers(0, 5000), max_size=200))
def test_looks_never_spend_more_than_there_is(new: list[int]) -> None:
    looked = seen = 0
    spent = 0.0
    for requests in new:
        seen += requests
        if is_look_due(looked, seen):
            assert share_of_look("p50", looked, seen, copied=True) > 0
            spent += share_of_look("p50", looked, seen, copied=True)
            looked = seen
    assert spent < 1 + 1e-12


def test_looks_come_when_there_is_half_as_much_again() -> None:
    looked, looks = 0, []
    for seen in range(1000):
        if is_look_due(looked, seen):
            looked = seen
            looks.append(seen)
    assert looks == [10, 14, 20, 30, 45, 67, 100, 150, 225, 338, 507, 760]


def test_most_is_spent_where_a_bad_candidate_should_be_found() -> None:
    assert share_of_look("p50", 0, 50, copied=True) + share_of_look("p50", 200, 10**9, copied=True) < 0.25


def test_errors_are_looked_for_among_few_requests_where_nothing_is_copied() -> None:
    with_copies, without = (share_of_look("errors", 0, 150, copied=copied) for copied in (True, False))
    assert with_copies < 0.01
    assert without > 0.7
    assert share_of_look("p50", 0, 150, copied=True) == share_of_look("p50", 0, 150, copied=False)
