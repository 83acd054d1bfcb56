from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.commands.rig import free_port
from tests.gateway.commands.steered import Steered
from tests.gateway.control.traffic.rig import Rig


@pytest.fixture
def steered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Steered]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    rig = Rig(tmp_path)
    rig.worker("a")
    rig.worker("b")
    with Steered(rig) as steered:
        yield steered


def test_routes_and_aliases_are_listed(steered: Steered) -> None:
    told = steered.run("traffic", "list")
    assert told.code == 0
    for word in ("iris-old", "90 %", "canary (running)", "stable", "█"):
        assert word in told.out
    assert [route["name"] for route in steered.run("traffic", "list", "--json").data["routes"]] == ["iris", "fraud"]


def test_a_route_is_shown(steered: Steered) -> None:
    worker = steered.rig.workers[0]
    worker.served("old", 90, failed=10)
    told = steered.run("traffic", "show", "fraud", "--json").data
    assert {each["name"] for each in told["targets"]} == {"old", "new"}
    assert "95 %" in steered.run("traffic", "show", "fraud").out


def test_weights_are_set_and_every_worker_goes_by_them(steered: Steered) -> None:
    told = steered.run("traffic", "set", "iris", "iris-new=40", "iris-old=60%", "--why", "a try")
    assert (told.code, told.out) == (0, "✓ iris: iris-old 60 %, iris-new 40 %; all 2 data workers go by it\n")
    change = steered.rig.traffic.route("iris").state.history[-1]
    assert change.why == "a try"
    assert "@" in change.who


def test_a_switch_and_its_rollback(steered: Steered) -> None:
    assert "iris-new 100 %" in steered.run("traffic", "switch", "iris", "iris-new").out
    told = steered.run("traffic", "rollback", "iris", "--json").data
    assert told["weights"] == {"iris-old": 90, "iris-new": 10}
    assert told["workers_follow"] == 2


def test_aliases_are_set_and_taken_away(steered: Steered) -> None:
    assert steered.run("traffic", "alias", "latest", "fraud/2").out.startswith("✓ latest means fraud/2; ")
    assert steered.run("traffic", "unalias", "latest").out.startswith("✓ latest is no alias any more; ")
    steered.run("traffic", "unalias", "stable")
    assert "taken away" in steered.run("traffic", "list").out


def test_mistakes_are_one_line(steered: Steered) -> None:
    told = steered.run("traffic", "set", "iris", "iris-new=40")
    assert (told.code, told.out) == (1, "")
    assert told.err.startswith("Error: the weights of route 'iris' must sum to 100")
    assert "'x' is not TARGET=PERCENT" in steered.run("traffic", "set", "iris", "x").err
    refused = steered.run("traffic", "show", "irsi", "--json")
    assert (refused.code, refused.data["name"], refused.data["state"]) == (1, "irsi", "refused")
    assert "did you mean 'iris'" in refused.data["reason"]
    assert "has a route already" in steered.run("traffic", "alias", "iris", "fraud").err


def test_without_a_gateway(steered: Steered) -> None:
    told = Steered(steered.rig, free_port()).run("traffic", "list")
    assert told.code == 1
    assert "no gateway answers at" in told.err
