import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters.errors import GateFailed
from converters.precision.bisect import Attempt, nodes_to_keep

NODES = [f"n{index}" for index in range(100)]


class Gate:
    """Passes when all culprits are kept; remembers what it was asked."""

    def __init__(self, *culprits: str) -> None:
        self.culprits = frozenset(culprits)
        self.asked: list[frozenset[str]] = []

    def __call__(self, kept: frozenset[str]) -> bool:
        self.asked.append(kept)
        return kept >= self.culprits


def test_the_most_suspicious_alone_takes_two_attempts() -> None:
    gate = Gate("n0")
    assert nodes_to_keep(NODES, gate, limit=24) == {"n0"}
    assert [len(kept) for kept in gate.asked] == [100, 1]


def test_a_few_among_many_take_few_attempts() -> None:
    gate = Gate("n2", "n5")
    assert nodes_to_keep(NODES, gate, limit=100) == {"n2", "n5"}
    assert len(gate.asked) <= 16


def test_a_region_of_the_graph_is_found_though_suspicion_is_wrong() -> None:
    region = NODES[40:48]
    suspicion = sorted(NODES, key=lambda name: int(name[1:]) * 37 % 100)
    scattered, together = Gate(*region), Gate(*region)
    assert nodes_to_keep(suspicion, together, limit=1000, graph=NODES) == set(region)
    assert nodes_to_keep(suspicion, scattered, limit=1000) == set(region)
    assert len(together.asked) < len(scattered.asked)


def test_nothing_is_asked_twice_and_everything_is_told() -> None:
    gate = Gate("n3", "n60")
    told: list[Attempt] = []
    nodes_to_keep(NODES, gate, limit=500, tell=told.append)
    assert len(set(gate.asked)) == len(gate.asked)
    assert frozenset() not in gate.asked
    assert [attempt.number for attempt in told] == list(range(1, len(gate.asked) + 1))
    assert [attempt.kept for attempt in told] == [len(kept) for kept in gate.asked]
    assert [attempt.passed for attempt in told] == [kept >= gate.culprits for kept in gate.asked]


def test_the_limit_ends_it_with_what_passed_last() -> None:
    gate = Gate("n70")
    assert nodes_to_keep(NODES, gate, limit=1) == set(NODES)
    assert len(gate.asked) == 1
    gate = Gate("n70")
    assert "n70" in nodes_to_keep(NODES, gate, limit=11)
    assert len(gate.asked) == 11


@pytest.mark.parametrize("candidates", [[], NODES])
def test_a_gate_that_never_passes_ends_at_once(candidates: list[str]) -> None:
    gate = Gate("something else")
    with pytest.raises(GateFailed, match="even with all"):
        nodes_to_keep(candidates, gate, limit=10)
    assert len(gate.asked) == min(len(candidates), 1)


@given(
    st.sets(st.integers(0, 30), min_size=1, max_size=8),
    st.permutations(range(31)),
    st.integers(1, 60),
)
def test_what_is_found_passes_and_no_more_is_tried_than_allowed(
    culprits: set[int], order: list[int], limit: int
) -> None:
    gate = Gate(*(f"n{index}" for index in culprits))
    found = nodes_to_keep([f"n{index}" for index in order], gate, limit=limit, graph=NODES)
    assert found >= gate.culprits
    assert len(gate.asked) <= limit


@given(st.sets(st.integers(0, 30), min_size=1, max_size=8), st.permutations(range(31)))
def test_with_attempts_enough_nothing_else_is_kept(culprits: set[int], order: list[int]) -> None:
    gate = Gate(*(f"n{index}" for index in culprits))
    assert nodes_to_keep([f"n{index}" for index in order], gate, limit=10_000, graph=NODES) == gate.culprits


@given(st.lists(st.booleans(), min_size=30, max_size=30))
def test_a_capricious_gate_is_only_believed_in_what_it_said(answers: list[bool]) -> None:
    said: dict[frozenset[str], bool] = {}

    def gate(kept: frozenset[str]) -> bool:
        said[kept] = not said or answers[len(said)]
        return said[kept]

    assert said[nodes_to_keep(NODES[:20], gate, limit=30)]
