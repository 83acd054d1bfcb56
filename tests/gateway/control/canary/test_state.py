import json

import pytest

from gateway.control.canary.gates import Verdict
from gateway.control.canary.state import CanaryState, Event

FULL = CanaryState(
    "paused",
    2,
    1_763_750_000.25,
    "1763750000250.2",
    paused_at=1_763_750_100.5,
    looked={"errors": 225, "p95": 0},
    verdicts=(
        Verdict("p95", "wait", "p95: 9 and 4000 requests, needs 10"),
        Verdict("errors", "pass", "few of them", 0.5, 1e-5, "few"),
    ),
    reason="asked for by an operator",
    history=(Event(1.0, 0.0, "begin", "begins with 1 %"), Event(2.0, 1.0, "pause", "asked for by an operator")),
)


def test_it_outlives_the_process_as_json() -> None:
    assert CanaryState.of(json.loads(json.dumps(FULL.as_dict()))) == FULL


def test_what_something_else_wrote_is_noticed() -> None:
    with pytest.raises(KeyError):
        CanaryState.of({"phase": "running"})
    with pytest.raises(TypeError):
        CanaryState.of(FULL.as_dict() | {"colour": "red"})


def test_the_history_is_bounded() -> None:
    state = FULL
    for at in range(500):
        history = state.remembering(Event(at, 5.0, "pause", "again"))
        state = CanaryState("running", 0, 0.0, "e", history=history)
    assert len(state.history) == 100
    assert state.history[-1].at == 499


@pytest.mark.parametrize(
    ("phase", "is_over"),
    [
        ("waiting", False),
        ("running", False),
        ("paused", False),
        ("promoted", True),
        ("rolled_back", True),
        ("aborted", True),
    ],
)
def test_three_phases_are_final(phase: str, is_over: bool) -> None:
    assert CanaryState.of(FULL.as_dict() | {"phase": phase}).is_over is is_over
