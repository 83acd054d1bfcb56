from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.commands.steered import Steered
from tests.gateway.control.traffic.rig import SPLIT, Rig, section


@pytest.fixture
def steered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Steered]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    rig = Rig(tmp_path)
    rig.worker("a")
    with Steered(rig) as steered:
        yield steered


def test_canaries_are_listed(steered: Steered) -> None:
    told = steered.run("canary", "list")
    assert told.code == 0
    for word in ("fraud", "running", "◐○○", "5 %"):
        assert word in told.out
    assert steered.run("canary", "list", "--json").data["canaries"][0]["name"] == "fraud"


def test_one_is_shown_with_its_steps_as_a_picture(steered: Steered) -> None:
    told = steered.run("canary", "show", "fraud")
    assert told.code == 0
    for word in ("old → new", "▶", "██", "░" * 40, "0 of 100 requests"):
        assert word in told.out
    assert steered.run("canary", "show", "fraud", "--json").data["phase"] == "running"


def test_it_is_paused_resumed_promoted_aborted_and_restarted(steered: Steered) -> None:
    by = "; the data worker goes by it\n"
    assert steered.run("canary", "pause", "fraud", "--why", "lunch").out == f"✓ canary fraud is paused at 5 %{by}"
    assert steered.run("canary", "resume", "fraud").out == f"✓ canary fraud goes on at 5 %{by}"
    assert steered.run("canary", "promote", "fraud").out == f"✓ canary fraud is running at 50 %{by}"
    assert steered.run("canary", "abort", "fraud").out == f"✓ canary fraud is aborted; everything goes to old{by}"
    steered.rig.clock.now += 1
    assert steered.run("canary", "restart", "fraud").out == f"✓ canary fraud begins with 5 %{by}"


def test_watching_ends_with_the_canary(steered: Steered) -> None:
    worker = steered.rig.workers[0]
    worker.served("old", 4000)
    worker.served("new", 100, failed=30)
    told = steered.run("canary", "show", "fraud", "--watch")
    assert told.code == 2
    assert "rolled back" in told.out
    for _ in range(4):
        steered.rig.clock.now += 1
        steered.run("canary", "restart" if _ == 0 else "promote", "fraud")
    told = steered.run("canary", "show", "fraud", "--watch", "--json")
    assert (told.code, told.data["phase"]) == (0, "promoted")


def test_mistakes_are_one_line(steered: Steered) -> None:
    told = steered.run("canary", "pause", "iris")
    assert (told.code, told.out) == (1, "")
    assert told.err == ("Error: route 'iris' has no canary; give it one by `canary:` in the configuration\n")
    refused = steered.run("canary", "resume", "fraud", "--json")
    assert (refused.code, refused.data["state"]) == (1, "refused")


def test_without_canaries_it_is_said_how_to_have_one(steered: Steered) -> None:
    steered.rig.traffic.reconfigure(section(SPLIT))
    assert "There are no canaries." in steered.run("canary", "list").out
