import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.control.traffic.reports import Tally, added, size, totals, window
from tests.gateway.control.traffic.rig import SHADOW, Worker, tap_report

WORKER = {
    "life": "a",
    "revision": 3,
    "routes": {
        "iris": {
            "variants": {"new": {"ok": 5, "failed": 1}},
            "mirrors": {"m": {"ok": 1, "failed": 0, "timed_out": 0, "dropped": {"full": 2}, "latency": {"7": 1}}},
            "window": {"epoch": "E", "variants": {"new": {"ok": 2, "failed": 1, "latency": {"500": 3}}}, "mirrors": {}},
        }
    },
}


def test_counts_are_added_name_by_name() -> None:
    assert added([{"a": 1, "b": {"c": 2}}, {"b": {"c": 3, "d": 1}}, {}]) == {"a": 1, "b": {"c": 5, "d": 1}}
    assert added([]) == {}
    assert size({"a": 1, "b": {"c": 5, "d": 1}}) == 7


def test_what_is_added_is_not_changed() -> None:
    first: dict[str, Any] = {"b": {"c": 2}}
    added([first, {"b": {"c": 3}}])
    assert first == {"b": {"c": 2}}


def test_a_life_replaces_what_it_said_before() -> None:
    tally = Tally()
    tally.hear("a", {"x": {"ok": 5}})
    tally.hear("a", {"x": {"ok": 7}})
    tally.hear("b", {"x": {"ok": 1, "failed": 1}})
    assert tally.total() == {"x": {"ok": 8, "failed": 1}}
    assert tally.total("x") == {"ok": 8, "failed": 1}
    assert tally.total("y", "z") == {}


def test_a_life_that_begins_a_window_anew_loses_nothing() -> None:
    tally = Tally()
    for agreed in (5, 2, 4):
        tally.hear_window("a", {"compared": {"m": {"agreed": agreed}}})
    assert tally.total() == {"compared": {"m": {"agreed": 9}}}


def test_what_a_worker_counted_before_its_variants_had_settled_is_forgotten_and_its_copies_are_counted_once() -> None:
    tally = Tally()
    tally.hear_window("a", {"variants": {"old": {"ok": 900, "failed": 90}}, "mirrors": {"m": {"ok": 50, "failed": 4}}})
    settled = {"variants": {"old": {"ok": 0, "failed": 0}, "new": {"ok": 1}}, "mirrors": {"m": {"ok": 51, "failed": 4}}}
    tally.hear_window("a", settled)
    assert tally.total() == settled


def test_a_sum_is_added_up_once_until_more_is_heard() -> None:
    tally = Tally()
    tally.hear("a", {"x": {"ok": 5}})
    assert tally.total() is tally.total()
    tally.hear("a", {"x": {"ok": 6}})
    assert tally.total() == {"x": {"ok": 6}}


def test_many_lives_take_bounded_room_and_stay_counted() -> None:
    tally = Tally()
    for life in range(2000):
        tally.hear(str(life), {"ok": 1})
    assert tally.total() == {"ok": 2000}
    assert len(tally.as_dict()["lives"]) == 600


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9), st.booleans()), max_size=40))
def test_nothing_is_lost_or_counted_twice_whoever_dies(steps: list[tuple[str, int, bool]]) -> None:
    """Each step one process serves some more, dies if it is said so, and control is begun anew from its file."""
    tally, served, lives = Tally(), dict[str, int](), dict[str, int]()
    for process, more, dies in steps:
        life = f"{process}{lives.get(process, 0)}"
        served[life] = served.get(life, 0) + more
        tally.hear_window(life, {"mirrors": {"ok": served[life]}})
        if dies:
            lives[process] = lives.get(process, 0) + 1
            tally = Tally(json.loads(json.dumps(tally.as_dict())))
    assert tally.total("mirrors").get("ok", 0) == sum(served.values())


def test_totals_of_a_report() -> None:
    assert totals(WORKER) == {"iris": {key: WORKER["routes"]["iris"][key] for key in ("variants", "mirrors")}}  # type: ignore[index]
    assert totals(tap_report("E", 5, 1)) == {
        "fraud": {"compared": {SHADOW: {"agreed": 5, "differed": 1, "unreadable": 0}}}
    }


def test_only_the_window_of_this_epoch_counts() -> None:
    found = window(WORKER, "iris", "E")
    assert found == {"variants": {"new": {"ok": 2, "failed": 1, "latency": {"500": 3}}}, "mirrors": {}}
    assert window(WORKER, "iris", "F") is None
    assert window(WORKER, "fraud", "E") is None
    assert window(Worker("a").report(), "fraud", "E") is None


def test_so_it_is_with_the_tap() -> None:
    report = tap_report("E", 5, 1)
    assert window(report, "fraud", "E") == {"compared": {SHADOW: {"agreed": 5, "differed": 1}}}
    assert window(report, "fraud", "F") is None
    report["comparisons"]["fraud"][SHADOW]["window"] = None
    assert window(report, "fraud", "E") is None
