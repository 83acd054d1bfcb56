import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.traffic.refusals import Refused
from gateway.control.traffic.weights import checked, configured, targets_of, told
from gateway.traffic.sections import RouteSection
from tests.gateway.control.traffic.rig import CANARY, SPLIT

ROUTE = RouteSection.model_validate(SPLIT)


def test_what_is_configured() -> None:
    assert configured(ROUTE) == {"iris-old": 90, "iris-new": 10}
    assert configured(RouteSection.model_validate(CANARY)) == {"old": 100, "new": 0}
    assert configured(RouteSection(model="iris")) == {"iris": 100}
    assert targets_of(RouteSection(model="iris", name="team")) == ["iris"]


@given(st.floats(0, 100))
def test_what_sums_to_100_is_taken(percent: float) -> None:
    weights = checked(ROUTE, {"iris-new": percent, "iris-old": 100 - percent})
    assert list(weights) == ["iris-old", "iris-new"]
    assert sum(weights.values()) == pytest.approx(100)


@given(st.dictionaries(st.sampled_from(["iris-old", "iris-new"]), st.floats()))
def test_what_does_not_is_not(weights: dict[str, float]) -> None:
    try:
        taken = checked(ROUTE, weights)
    except Refused:
        return
    assert sum(taken.values()) == pytest.approx(100)
    assert all(0 <= weight <= 100 for weight in taken.values())


def test_what_is_left_out_gets_nothing() -> None:
    assert checked(ROUTE, {"iris-new": 100}) == {"iris-old": 0, "iris-new": 100}


def test_words() -> None:
    assert told({"a": 99.5, "b": 0.5}) == "a 99.5 %, b 0.5 %"
