from pathlib import Path

import pytest

from gateway.commands import canary_tables
from gateway.control.traffic import views
from tests.gateway.commands.test_traffic_tables import text
from tests.gateway.control.traffic.rig import START, Rig, tap_report


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def shown(rig: Rig) -> str:
    return text(canary_tables.canary(views.canary_details(rig.traffic, "fraud"), rig.clock.now))


def test_the_steps_are_a_picture(rig: Rig) -> None:
    rig.traffic.promote("fraud")
    rig.clock.now += 12
    lines = [line.rstrip() for line in shown(rig).splitlines()]
    assert lines[0] == "fraud  running  old → new"
    assert lines[1:4] == [
        "✓   5 % ██",
        "▶  50 % ████████████████████                     12 of 60 s, 0 of 100 requests",
        "  100 % ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░",
    ]


def test_gates_and_both_targets_have_their_numbers(rig: Rig) -> None:
    worker = rig.worker("a")
    worker.served("old", 4000)
    worker.served("new", 50)
    worker.copied(20)
    rig.hear(tap_report(worker.epoch, 20, 0))
    rig.tick(5)
    told = shown(rig)
    for word in ("0 of 70 requests fail", "p99", "4,000", "copies", "answers that agree", "100 %", "5 of 60 seconds"):
        assert word in told


def test_what_was_taken_back_and_paused_is_seen(rig: Rig) -> None:
    rig.traffic.pause("fraud")
    assert "paused" in shown(rig).splitlines()[1]
    rig.traffic.abort("fraud")
    assert "✗   5 %" in shown(rig)
    rig.traffic.switch("fraud", "new")
    assert "The weights were set by hand" in shown(rig)


def test_the_list_has_a_dot_for_each_step(rig: Rig) -> None:
    def listed() -> str:
        return text(canary_tables.canaries([views.canary_summary(rig.traffic.route("fraud"))], START + 3))

    assert "◐○○" in listed()
    assert "3 of 60 s" in listed()
    rig.traffic.promote("fraud")
    assert "●◐○" in listed()
    rig.traffic.promote("fraud")
    rig.traffic.promote("fraud")
    assert "●●●" in listed()
    rig.clock.now += 1
    rig.traffic.restart("fraud")
    rig.traffic.abort("fraud")
    assert "✗○○" in listed()


def test_the_list_says_why_one_is_over(rig: Rig) -> None:
    worker = rig.worker("a")
    worker.served("old", 4000)
    worker.served("new", 100, failed=30)
    rig.hear()
    rig.tick(1)
    told = text(canary_tables.canaries([views.canary_summary(rig.traffic.route("fraud"))], START))
    assert "at 5 %: errors: 30 of 130" in told
    last = shown(rig)
    assert "4,000" in last  # what was seen stays
    assert "│ ✗ │ errors" in last


def test_one_that_waits_has_begun_no_step(rig: Rig) -> None:
    rig.traffic.hear({"repository": {"models": {}}})
    rig.traffic.restart("fraud")
    assert "░" * 2 in shown(rig).splitlines()[1]
    assert "waits until fraud version 2 is loaded" in shown(rig)
    told = text(canary_tables.canaries([views.canary_summary(rig.traffic.route("fraud"))], START))
    assert "○○○" in told
    assert "waits until fraud version 2 is loaded; now" in told
