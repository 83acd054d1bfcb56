import json

import pytest

from gateway.control.traffic import views
from gateway.control.traffic.refusals import NotThere
from tests.gateway.control.traffic.rig import SHADOW, START, Rig, section, tap_report


def test_a_route_in_short(rig: Rig) -> None:
    assert [views.summary(route) for route in rig.traffic.routes.values()] == [
        {
            "name": "iris", "model": "iris", "conditional": False, "weights": {"iris-old": 90, "iris-new": 10},
            "by_hand": False, "canary": None, "mirrors": [],
        },
        {
            "name": "fraud", "model": "fraud", "conditional": False, "weights": {"new": 5, "old": 95},
            "by_hand": False, "canary": "running", "mirrors": [],
        },
    ]  # fmt: skip


def test_a_route_with_all_that_was_counted(rig: Rig) -> None:
    worker = rig.worker("a")
    worker.served("old", 90, failed=10, seconds=0.020)
    worker.served("new", 4, seconds=0.010)
    worker.copied(3, failed=1)
    rig.hear(tap_report(worker.epoch, 3, 1))
    told = views.details(rig.traffic, "fraud")
    assert json.loads(json.dumps(told))["name"] == "fraud"
    targets = {each["name"]: each for each in told["targets"]}
    assert (targets["old"]["ok"], targets["old"]["failed"], targets["old"]["error_percent"]) == (90, 10, 10)
    assert targets["old"]["latency_ms"]["p50"] == pytest.approx(20, rel=0.02)
    assert (targets["new"]["weight"], targets["new"]["configured"], targets["new"]["version"]) == (5, 0, 2)
    [mirror] = told["mirrors"]
    assert (mirror["name"], mirror["ok"], mirror["failed"], mirror["timed_out"]) == (SHADOW, 3, 1, 1)
    assert mirror["dropped"] == {"full": 2, "busy": 0, "broken": 0}
    assert mirror["compared"] == {"agreed": 3, "differed": 1, "unreadable": 0, "agreement_percent": 75}
    assert told["measured_since"] == START
    assert (told["workers"], told["workers_follow"]) == (1, 1)


def test_of_a_route_that_nobody_measures_there_are_no_latencies(rig: Rig) -> None:
    told = views.details(rig.traffic, "iris")
    assert told["measured_since"] is None
    assert [(each["ok"], each["error_percent"], each["latency_ms"]) for each in told["targets"]] == [
        (0, None, None)
    ] * 2


def test_a_route_without_targets_has_the_model(rig: Rig) -> None:
    rig.traffic.reconfigure(section({"model": "iris", "name": "team", "when": {"tenants": ["a*"]}}))
    told = views.details(rig.traffic, "team")
    assert told["when"] == {"tenants": ("a*",)}
    [target] = told["targets"]
    assert (target["name"], target["model"], target["weight"]) == ("iris", "iris", 100)


def test_mirrors_of_the_configuration_are_told_before_they_have_copies(rig: Rig) -> None:
    rig.traffic.reconfigure(section({"model": "iris", "mirrors": [{"model": "next", "percent": 5}]}))
    [mirror] = views.details(rig.traffic, "iris")["mirrors"]
    assert (mirror["name"], mirror["percent"], mirror["ok"], mirror["compared"]) == ("next", 5, 0, None)


def test_a_canary_with_its_evidence(rig: Rig) -> None:
    worker = rig.worker("a")
    worker.served("old", 400)
    worker.served("new", 40)
    rig.hear(tap_report(worker.epoch, 100, 0))
    rig.tick(10)
    rig.traffic.pause("fraud", "a look", "ada")
    told = views.canary_details(rig.traffic, "fraud")
    assert json.loads(json.dumps(told))["phase"] == "paused"
    assert told["evidence"]["candidate"]["ok"] == 40
    assert told["evidence"]["compared"]["agreement_percent"] == 100
    assert {verdict["gate"] for verdict in told["verdicts"]} == {"errors", "p50", "p95", "p99", "agreement"}
    assert [(change["who"], change["why"]) for change in told["history"]] == [("ada", "a look"), ("canary", "")]
    assert [event["action"] for event in told["events"]] == ["pause", "begin"]


def test_a_route_without_a_canary_has_none_to_tell_of(rig: Rig) -> None:
    with pytest.raises(NotThere):
        views.canary_details(rig.traffic, "iris")


def test_it_is_told_who_goes_by_the_last_decision(rig: Rig) -> None:
    rig.worker("a")
    rig.hear()
    rig.traffic.promote("fraud")
    rig.worker("b")
    rig.hear()
    assert views.reach(rig.traffic) == {"revision": 3, "workers": 2, "workers_follow": 1}
    rig.traffic.unsaved = "No space left on device"
    assert views.reach(rig.traffic)["unsaved"] == "No space left on device"
