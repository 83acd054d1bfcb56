import pytest
from pydantic import ValidationError

from gateway.traffic.canary_sections import CanarySection, LatencyGate


@pytest.mark.parametrize("steps", [(), (5, 1, 100), (1, 1, 100), (1, 50), (0, 100)])
def test_steps_rise_to_a_hundred(steps: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError):
        CanarySection(candidate="b", steps=steps)


def test_the_default_steps_are_the_usual_ones() -> None:
    assert CanarySection(candidate="b").steps == (1, 5, 25, 50, 100)


def test_a_gate_can_be_switched_off() -> None:
    assert LatencyGate(p99=None).p99 is None
    with pytest.raises(ValidationError):
        LatencyGate(p99=0)
