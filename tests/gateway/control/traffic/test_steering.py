import pytest

from gateway.control.traffic.candidates import Standing
from gateway.control.traffic.refusals import NotNow, NotThere
from gateway.control.traffic.steering import By, Steered
from gateway.traffic.sections import RouteSection, TargetSection
from gateway.traffic.snapshot import Override
from tests.gateway.control.traffic.rig import CANARY, SPLIT, START, Worker

BY = By("ada", "why not", START + 1)


def ready(target: TargetSection) -> Standing:
    return Standing(is_ready=True, is_gone=False, name=target.model)


def steered(configured: dict[str, object]) -> Steered:
    route = Steered(RouteSection.model_validate(configured), None, START)
    route.decide(ready, START)
    return route


def test_a_route_begins_as_it_is_configured() -> None:
    route = steered(SPLIT)
    assert not route.is_decided
    assert route.override == Override(route.section.digest)
    assert route.weights == {"iris-old": 90, "iris-new": 10}
    with pytest.raises(NotThere, match="has no canary"):
        route.with_canary()
    assert route.decide(ready, START) is None


def test_every_change_by_hand_has_a_window_of_its_own() -> None:
    route, epochs = steered(SPLIT), set[str]()
    for percent in (10, 20, 30):
        route.set_weights({"iris-old": percent, "iris-new": 100 - percent}, BY)
        epochs.add(route.override.epoch)
    assert len(epochs) == 3
    assert route.state.since == BY.at


def test_what_is_remembered_is_gone_on_from() -> None:
    route = steered(CANARY)
    worker = Worker("a", epoch=route.override.epoch, window={"variants": {}, "mirrors": {}})
    worker.served("new", 5)
    route.hear(worker.report())
    route.operate("pause", BY)
    again = Steered(route.section, route.remembered(), START + 9)
    assert again.override == route.override
    assert again.with_canary().state == route.with_canary().state
    assert again.counted.total() == route.counted.total() != {}


def test_of_what_is_over_nothing_is_counted() -> None:
    route = steered(CANARY)
    route.operate("abort", BY)
    assert route.override.epoch == ""
    worker = Worker("a", epoch="", window={"variants": {}, "mirrors": {}})
    worker.served("new", 5)
    route.hear(worker.report())
    assert route.counted.total() == {}


def test_a_canary_without_its_own_weights_decides_nothing() -> None:
    route = steered(CANARY)
    with pytest.raises(NotNow):
        route.set_weights({"new": 100}, BY)
    route.operate("abort", BY)
    route.set_weights({"new": 100}, BY)
    assert route.override.shadow_percent == 0
    assert route.decide(ready, START + 1e6) is None


def test_the_history_says_who_and_why() -> None:
    route = steered(CANARY)
    route.operate("pause", BY)
    begun, paused = route.state.history
    assert (begun.who, begun.what) == ("canary", "begins with 5 %")
    assert (paused.who, paused.what, paused.why, paused.at) == ("ada", "paused at 5 %", "why not", START + 1)
