import json
from pathlib import Path

import pytest

from gateway.control.traffic.manager import Traffic
from gateway.control.traffic.refusals import NotNow, NotThere, Refused
from gateway.traffic.snapshot import Snapshot
from tests.gateway.control.traffic.rig import CANARY, SHADOW, SPLIT, Rig, Worker, section, tap_report


def healthy_step(rig: Rig, worker: Worker, seconds: float = 60) -> list[str]:
    """A step in which the candidate is as good as the baseline, and has been for long enough."""
    worker.served("old", 4000)
    worker.served("new", 400)
    worker.copied(1000)
    rig.hear(tap_report(worker.epoch, 1000, 0))
    return rig.tick(seconds)


def test_what_nobody_decided_about_is_not_in_the_snapshot(tmp_path: Path) -> None:
    rig = Rig(tmp_path, section(SPLIT))
    assert rig.traffic.snapshot == Snapshot(0, {}, {})
    assert rig.traffic.news == []


def test_news_are_numbered_for_the_launcher(rig: Rig) -> None:
    rig.traffic.pause("fraud")
    assert [news.as_dict() for news in rig.traffic.news] == [
        {"number": 1, "text": "canary fraud: begins with 5 %"},
        {"number": 2, "text": "canary fraud: paused at 5 %"},
    ]


# ---- canaries


def test_a_canary_begins_and_is_promoted(rig: Rig) -> None:
    assert [news.text for news in rig.traffic.news] == ["canary fraud: begins with 5 %"]
    begun = rig.traffic.snapshot.routes["fraud"]
    assert begun.weights == {"new": 5, "old": 95}
    assert (begun.of, begun.shadow_percent) == (section(CANARY).routes[0].digest, 50)
    worker = rig.worker("a")
    [line] = healthy_step(rig, worker)
    assert line.startswith("canary fraud: goes on from 5 % to 50 %: 400 requests, errors 0 % against 0 %")
    then = rig.traffic.snapshot
    assert (then.revision, then.routes["fraud"].weights) == (3, {"new": 50, "old": 50})
    assert then.routes["fraud"].epoch not in {"", begun.epoch}
    healthy_step(rig, worker)
    [line] = healthy_step(rig, worker)
    assert line.startswith("canary fraud: promoted at 100 %")
    last = rig.traffic.snapshot.routes["fraud"]
    assert (last.weights, last.epoch, last.shadow_percent) == ({"new": 100, "old": 0}, "", 0)
    assert healthy_step(rig, worker) == []


def test_a_canary_that_errs_is_rolled_back(rig: Rig) -> None:
    worker = rig.worker("a")
    worker.served("old", 4000)
    worker.served("new", 100, failed=30)
    rig.hear()
    [line] = rig.tick(1)
    assert line.startswith(
        "canary fraud: rolled back at 5 %: errors: 30 of 130 requests fail and 0 of the baseline's 4,000, 23.1 %"
    )
    assert rig.traffic.snapshot.routes["fraud"].weights == {"new": 0, "old": 100}
    assert rig.traffic.route("fraud").state.history[-1].who == "canary"
    with pytest.raises(NotNow, match="nothing to roll back"):
        rig.traffic.rollback("fraud")


def test_answers_that_differ_count_too(rig: Rig) -> None:
    worker = rig.worker("a")
    worker.served("old", 4000)
    worker.served("new", 100)
    worker.copied(1000)
    rig.hear(tap_report(worker.epoch, 900, 100))
    [line] = rig.tick(1)
    assert "agreement: 100 of 1,000 answers differ, 10 % where at most 0.5 % may" in line


def test_a_restart_in_the_middle_goes_on_where_it_was(rig: Rig) -> None:
    worker = rig.worker("a")
    healthy_step(rig, worker)
    worker.served("old", 1500)
    worker.served("new", 70)
    rig.hear(tap_report(worker.epoch, 500, 0))
    rig.tick(40)
    before = rig.traffic

    after = rig.restart()
    assert after.snapshot == before.snapshot
    assert [news.text for news in after.news] == []
    found = after.route("fraud")
    assert found.canary is not None
    assert before.route("fraud").canary is not None
    assert found.canary.state == before.route("fraud").canary.state  # type: ignore[union-attr]
    evidence = found.canary.evidence(found.counted.total())
    assert (evidence.baseline.served, evidence.candidate.served, evidence.agreed) == (1500, 70, 500)
    worker.served("old", 1500)  # the worker has lived on, and counts on
    worker.served("new", 40)
    rig.hear(tap_report(worker.epoch, 600, 0))
    assert rig.tick(19) == []
    [line] = rig.tick(1.1)
    assert "goes on from 50 % to 100 %" in line
    assert rig.traffic.news[-1].number == before.news[-1].number + 1


def test_nothing_is_lost_when_workers_tap_and_control_die_at_once(rig: Rig) -> None:
    worker = rig.worker("a")
    worker.served("old", 1000, failed=10)
    worker.served("new", 60)
    worker.copied(250)
    rig.hear(tap_report(worker.epoch, 240, 1))
    rig.tick(2)
    rig.workers.clear()
    rig.restart()
    again = rig.worker("b")
    again.served("old", 500)
    again.served("new", 30, failed=1)
    again.copied(100)
    rig.hear(tap_report(again.epoch, 90, 0, life="tap-2"))
    route = rig.traffic.route("fraud")
    assert route.canary is not None
    evidence = route.canary.evidence(route.counted.total())
    assert (evidence.baseline.ok, evidence.baseline.failed) == (1500, 10)
    assert (evidence.candidate.ok, evidence.candidate.failed) == (90, 1)
    assert sum(evidence.baseline.latency.values()) == 1510
    assert (evidence.shadow_ok, evidence.agreed, evidence.differed) == (350, 330, 1)


def test_a_tap_that_has_only_started_has_nothing_to_say(rig: Rig) -> None:
    rig.hear({"pid": 5})
    rig.hear({"pid": None})
    assert rig.traffic.totals("fraud") == {}


def test_the_totals_of_a_tap_go_on_and_are_not_counted_twice(rig: Rig) -> None:
    rig.hear(tap_report("E", 10, 0))
    rig.hear(tap_report("E", 12, 0, life="tap-2"))
    assert rig.traffic.totals("fraud")["compared"][SHADOW]["agreed"] == 12


def test_evidence_is_written_at_most_every_two_seconds_and_only_if_there_is_more(rig: Rig) -> None:
    worker = rig.worker("a")
    written = rig.file.stat().st_mtime_ns
    worker.served("new", 1)
    rig.hear()
    rig.tick(1.9)
    assert rig.file.stat().st_mtime_ns == written
    rig.tick(0.1)
    assert (more := rig.file.stat().st_mtime_ns) > written
    rig.hear()
    rig.tick(5)
    assert rig.file.stat().st_mtime_ns == more


def test_an_older_window_is_not_evidence_of_a_new_one(rig: Rig) -> None:
    worker = rig.worker("a")
    worker.served("new", 50)
    rig.traffic.promote("fraud")
    rig.hear(tap_report(worker.epoch, 50, 0))  # it has not heard of it yet
    assert rig.traffic.route("fraud").counted.total() == {}


def test_a_canary_is_paused_resumed_aborted_and_restarted(rig: Rig) -> None:
    worker, traffic = rig.worker("a"), rig.traffic
    traffic.pause("fraud", "lunch", "ada")
    assert traffic.news[-1].text == "canary fraud: paused at 5 % (lunch)"
    epoch = traffic.snapshot.routes["fraud"].epoch
    assert healthy_step(rig, worker, 1000) == []
    assert traffic.snapshot.routes["fraud"].weights["new"] == 5
    with pytest.raises(NotNow, match=r"canary of route 'fraud'.*paused"):
        traffic.pause("fraud")
    traffic.resume("fraud")
    assert traffic.snapshot.routes["fraud"].epoch == epoch
    assert rig.tick(59) == []
    assert len(rig.tick(1)) == 1
    traffic.abort("fraud")
    assert traffic.news[-1].text == "canary fraud: aborted at 50 %: everything goes to old"
    assert traffic.snapshot.routes["fraud"].weights == {"new": 0, "old": 100}
    with pytest.raises(NotNow, match="`canary restart fraud`"):
        traffic.promote("fraud")
    rig.clock.now += 1
    traffic.restart("fraud")
    assert traffic.snapshot.routes["fraud"].weights == {"new": 5, "old": 95}
    assert [change.who for change in traffic.route("fraud").state.history][1] == "ada"


def test_a_rollback_takes_a_canary_back_at_once(rig: Rig) -> None:
    rig.traffic.rollback("fraud", "it looks odd")
    assert rig.traffic.snapshot.routes["fraud"].weights == {"new": 0, "old": 100}
    assert rig.traffic.route("fraud").canary.phase == "aborted"  # type: ignore[union-attr]


def test_a_promoted_canary_can_still_be_rolled_back(rig: Rig) -> None:
    for _ in range(3):
        rig.traffic.promote("fraud")
        rig.clock.now += 1
    assert rig.traffic.snapshot.routes["fraud"].weights == {"new": 100, "old": 0}
    rig.traffic.rollback("fraud")
    assert rig.traffic.snapshot.routes["fraud"].weights == {"new": 0, "old": 100}
    with pytest.raises(NotNow, match="all changes were rolled back"):
        rig.traffic.rollback("fraud")


def test_a_canary_waits_for_its_model_and_is_taken_back_when_that_goes(rig: Rig) -> None:
    def hear(*versions: int, state: str = "ready", reason: str = "") -> None:
        sites = {"embedded": {"state": state, "reason": reason, "versions": versions}}
        models = {"fraud": {"state": state, "reason": reason, "sites": sites}}
        rig.traffic.hear(
            {"repository": {"models": models}, "upstreams": [{"name": "embedded", "http": "h", "group": ""}]}
        )

    hear(1, state="loading")
    rig.traffic.restart("fraud")
    assert rig.traffic.snapshot.routes["fraud"].weights == {"new": 0, "old": 100}
    assert rig.traffic.news[-1].text == "canary fraud: waits until fraud version 2 is loaded"
    hear(1, state="failed", reason="no memory")
    assert rig.tick(100) == ["canary fraud: waits until fraud version 2 is loaded; now: no memory"]
    rig.restart().restart("fraud")
    hear(1, 2)
    rig.tick(1)
    assert rig.traffic.snapshot.routes["fraud"].weights == {"new": 5, "old": 95}
    hear(1)
    assert rig.tick(1) == []
    [line] = rig.tick(3)
    assert (
        line == "canary fraud: rolled back at 5 %: fraud version 2 is not loaded any more: fraud is loaded without it"
    )
    assert rig.traffic.snapshot.routes["fraud"].weights == {"new": 0, "old": 100}


def test_before_the_launcher_has_said_what_is_loaded_nothing_begins(tmp_path: Path) -> None:
    traffic = Traffic(section(CANARY), tmp_path / "traffic.json", patience=0)
    traffic.tick()
    assert traffic.snapshot.routes["fraud"].weights == {"new": 0, "old": 100}


# ---- by hand


def test_weights_are_set_by_hand_and_rolled_back(rig: Rig) -> None:
    rig.traffic.set_weights("iris", {"iris-old": 50, "iris-new": 50}, "half", "ada")
    rig.traffic.switch("iris", "iris-new")
    override = rig.traffic.snapshot.routes["iris"]
    assert override.weights == {"iris-old": 0, "iris-new": 100}
    rig.restart()
    assert rig.traffic.snapshot.routes["iris"] == override
    rig.traffic.rollback("iris")
    assert rig.traffic.snapshot.routes["iris"].weights == {"iris-old": 50, "iris-new": 50}
    assert rig.traffic.snapshot.routes["iris"].epoch != override.epoch
    [half, switched, back] = rig.traffic.route("iris").state.history
    assert (half.who, half.why, half.what) == ("ada", "half", "weights set to iris-old 50 %, iris-new 50 %")
    assert switched.what == "weights set to iris-old 0 %, iris-new 100 %"
    assert back.what == ("weights rolled back to iris-old 50 %, iris-new 50 %, from iris-old 0 %, iris-new 100 %")


def test_a_rollback_of_the_first_change_is_the_configuration(rig: Rig) -> None:
    rig.traffic.switch("iris", "iris-new")
    rig.traffic.rollback("iris")
    assert rig.traffic.snapshot.routes["iris"].weights == {}
    assert rig.traffic.route("iris").weights == {"iris-old": 90, "iris-new": 10}


def test_rollbacks_go_back_further_and_further_and_never_to_what_was_left(rig: Rig) -> None:
    def rolled_back() -> float:
        rig.traffic.rollback("iris")
        return rig.traffic.route("iris").weights["iris-new"]

    for percent in (20.0, 30.0, 40.0):
        rig.traffic.set_weights("iris", {"iris-new": percent, "iris-old": 100 - percent})
    assert rolled_back() == 30
    rig.traffic.set_weights("iris", {"iris-new": 70.0, "iris-old": 30.0})
    rig.restart()
    assert [rolled_back() for _ in range(3)] == [30, 20, 10]
    assert rig.traffic.snapshot.routes["iris"].weights == {}
    with pytest.raises(NotNow, match="`traffic set iris TARGET=PERCENT"):
        rig.traffic.rollback("iris")
    rig.traffic.switch("iris", "iris-new")
    assert rolled_back() == 10


def test_the_history_is_bounded(rig: Rig) -> None:
    for target in ("iris-new", "iris-old") * 15:
        rig.traffic.switch("iris", target)
    assert len(rig.traffic.route("iris").state.history) == 20


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"iris-odl": 100.0}, "no target of route 'iris' called 'iris-odl'; did you mean 'iris-old'?"),
        ({"iris-old": 50.0, "iris-new": 40.0}, "must sum to 100, and iris-old=50 [+] iris-new=40 is 90"),
        ({"iris-old": 110.0, "iris-new": -10.0}, "from 0 to 100"),
        ({"iris-old": float("nan")}, "from 0 to 100"),
        ({}, "must sum to 100"),
    ],
)
def test_weights_that_make_no_sense_are_refused(rig: Rig, weights: dict[str, float], said: str) -> None:
    before = rig.traffic.snapshot
    with pytest.raises(Refused, match=said):
        rig.traffic.set_weights("iris", weights)
    assert rig.traffic.snapshot is before


def test_weights_that_hold_already_are_no_mistake_and_no_change(rig: Rig) -> None:
    before = rig.traffic.snapshot
    rig.traffic.set_weights("iris", {"iris-old": 90.0, "iris-new": 10.0})
    assert rig.traffic.snapshot is before
    assert rig.traffic.route("iris").state.history == []


def test_what_is_not_there_or_cannot_be_is_refused(rig: Rig) -> None:
    with pytest.raises(NotThere, match="there is no route 'irsi'; did you mean 'iris'"):
        rig.traffic.rollback("irsi")
    with pytest.raises(NotThere, match="route 'iris' has no canary"):
        rig.traffic.pause("iris")
    with pytest.raises(NotNow, match="are its canary's, which is running; end it by `canary abort fraud`"):
        rig.traffic.switch("fraud", "new")
    with pytest.raises(NotNow, match="nothing to roll back"):
        rig.traffic.rollback("iris")


def test_after_a_canary_is_over_its_weights_are_free(rig: Rig) -> None:
    rig.traffic.abort("fraud")
    rig.traffic.switch("fraud", "new")
    assert rig.traffic.snapshot.routes["fraud"].weights == {"old": 0, "new": 100}
    assert rig.traffic.snapshot.routes["fraud"].epoch
    assert rig.tick(1000) == []
    rig.restart()
    assert rig.traffic.snapshot.routes["fraud"].weights == {"old": 0, "new": 100}
    rig.traffic.restart("fraud")
    assert rig.traffic.snapshot.routes["fraud"].weights == {"new": 5, "old": 95}


def test_what_is_measured_after_a_change_is_that_route_alone(rig: Rig) -> None:
    rig.traffic.switch("iris", "iris-new")
    worker = rig.worker("a", "iris")
    worker.served("iris-new", 7)
    rig.hear()
    assert rig.traffic.route("iris").counted.total("variants", "iris-new")["ok"] == 7
    assert rig.traffic.totals("iris")["variants"] == {"iris-new": {"ok": 7, "failed": 0}}
    rig.traffic.rollback("iris")
    assert rig.traffic.route("iris").counted.total() == {}
    assert rig.traffic.totals("iris")["variants"]["iris-new"]["ok"] == 7


def test_aliases_are_part_of_the_snapshot(rig: Rig) -> None:
    rig.traffic.set_alias("latest", "fraud/2")
    rig.traffic.remove_alias("stable")
    assert rig.traffic.snapshot.aliases == {"latest": "fraud/2", "stable": ""}
    assert rig.restart().snapshot.aliases == {"latest": "fraud/2", "stable": ""}


# ---- the configuration changes


def test_a_changed_route_loses_what_was_decided_for_it_and_no_other_does(rig: Rig) -> None:
    worker, traffic = rig.worker("a"), rig.traffic
    traffic.switch("iris", "iris-new")
    worker.served("new", 50)
    rig.hear()
    canary = traffic.snapshot.routes["fraud"]
    changed = {**SPLIT, "targets": [{"model": "iris-old", "weight": 80}, {"model": "iris-new", "weight": 20}]}
    traffic.reconfigure(section(changed, CANARY))
    assert traffic.snapshot.routes == {"fraud": canary}
    assert traffic.route("iris").weights == {"iris-old": 80, "iris-new": 20}
    assert traffic.route("fraud").counted.total("variants", "new")["ok"] == 50
    assert traffic.news[-1].text.startswith("route iris: its configuration has changed")


def test_a_changed_canary_begins_anew(rig: Rig) -> None:
    rig.traffic.promote("fraud")
    rig.clock.now += 1
    rig.traffic.reconfigure(section(SPLIT, {**CANARY, "canary": {**CANARY["canary"], "steps": [10, 100]}}))
    assert rig.traffic.snapshot.routes["fraud"].weights == {"new": 10, "old": 90}
    assert rig.traffic.news[-1].text == "canary fraud: begins with 10 %"


def test_the_configuration_may_change_while_control_is_away(rig: Rig) -> None:
    rig.traffic.switch("iris", "iris-new")
    rig.section = section({**SPLIT, "sticky": ["tenant"]}, {**CANARY, "model": "card"})
    traffic = rig.restart()
    assert list(traffic.snapshot.routes) == ["card"]
    lines = [news.text for news in traffic.news]
    assert lines[0].startswith("route iris: its configuration has changed")
    assert "route fraud is not in the configuration any more; what was decided for it is forgotten" in lines


def test_the_same_configuration_changes_nothing(rig: Rig) -> None:
    rig.traffic.switch("iris", "iris-new")
    before, news = rig.traffic.snapshot, rig.traffic.news
    rig.traffic.reconfigure(section(SPLIT, CANARY, aliases={"stable": "iris"}))
    assert (rig.traffic.snapshot, rig.traffic.news) == (before, news)


# ---- the file


def test_a_damaged_file_is_set_aside(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.traffic.switch("iris", "iris-new")
    rig.file.write_text(rig.file.read_text()[:-20])
    traffic = rig.restart()
    assert "iris" not in traffic.snapshot.routes
    assert traffic.snapshot.routes["fraud"].weights["new"] == 5
    assert "is damaged" in caplog.text
    assert rig.file.with_name("traffic.json.damaged").exists()


def test_workers_that_know_more_than_the_file_are_told_anew(rig: Rig) -> None:
    worker = rig.worker("a")
    worker.revision = 41
    rig.hear()
    assert rig.traffic.snapshot.revision == 42
    assert rig.restart().snapshot.revision == 42


@pytest.mark.parametrize(
    "nonsense",
    [
        ("fraud", "canary", {"phase": "running"}),
        ("fraud", "canary", {}),
        ("fraud", "canary", {"verdicts": 1, "history": []}),
        ("iris", "weights", {"iris-old": 300}),
        ("iris", "weights", {"other": 100}),
    ],
)
def test_one_route_that_makes_no_sense_does_not_take_the_others_along(
    rig: Rig, nonsense: tuple[str, str, object]
) -> None:
    rig.traffic.switch("iris", "iris-new")
    rig.traffic.promote("fraud")
    route, key, value = nonsense
    told = json.loads(rig.file.read_text())
    told["routes"][route][key] = value
    rig.file.write_text(json.dumps(told))
    before = rig.traffic.snapshot.routes
    traffic = rig.restart()
    other = "iris" if route == "fraud" else "fraud"
    assert traffic.snapshot.routes[other] == before[other]
    assert traffic.route(route).weights in ({"new": 5, "old": 95}, {"iris-old": 90, "iris-new": 10})
    assert "cannot be understood" in traffic.news[0].text


def test_a_file_that_cannot_be_written_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    blocked = tmp_path / "state"
    blocked.write_text("a file where a folder should be")
    rig = Rig(tmp_path)
    rig.traffic.switch("iris", "iris-new")
    assert rig.traffic.snapshot.routes["iris"].weights["iris-new"] == 100
    assert rig.traffic.unsaved
    assert caplog.text.count("cannot be written") == 1
    blocked.unlink()
    rig.tick(2)
    assert rig.traffic.unsaved == ""
    rig.traffic.close()
    assert Traffic(rig.section, rig.file, rig.clock, 0).snapshot == rig.traffic.snapshot


def test_two_gateways_with_one_file_do_not_overwrite_each_other(rig: Rig) -> None:
    other = Traffic(rig.section, rig.file, rig.clock, patience=0)
    assert "is another gateway's" in other.news[0].text
    written = rig.file.read_bytes()
    other.switch("iris", "iris-new")
    assert other.unsaved == "another gateway uses it"
    assert rig.file.read_bytes() == written


def test_a_clock_that_is_set_back_holds_nothing_up(rig: Rig) -> None:
    worker = rig.worker("a")
    rig.clock.now -= 3600
    assert healthy_step(rig, worker, 0) == []
    written = rig.file.stat().st_mtime_ns
    worker.served("new", 1)
    rig.hear()
    assert rig.tick(59) == []
    assert rig.file.stat().st_mtime_ns > written
    assert len(rig.tick(1)) == 1


def test_every_decision_is_logged(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="gateway.traffic"):
        rig.traffic.abort("fraud", "no reason")
    assert "canary fraud: aborted at 5 %: everything goes to old (no reason)" in caplog.text


def test_shadow_copies_have_their_own_name(rig: Rig) -> None:
    worker = rig.worker("a")
    worker.copied(3, failed=1)
    rig.hear()
    assert rig.traffic.totals("fraud")["mirrors"][SHADOW]["failed"] == 1
