import json
from typing import Any

import pytest

from gateway.traffic.latency import bin_of
from gateway.traffic.measures import Measures
from gateway.traffic.sections import TrafficSection
from gateway.traffic.snapshot import Override, Snapshot

TARGETS = [{"name": "old", "model": "fraud", "version": 1}, {"name": "new", "model": "fraud", "version": 2}]
SECTION = TrafficSection.model_validate(
    {
        "routes": [
            {
                "model": "fraud",
                "targets": TARGETS,
                "canary": {"candidate": "new", "settle_requests": 2},
                "mirrors": [{"name": "dark", "model": "dark"}],
            },
            {"name": "plain", "model": "echo"},
        ]
    }
)
FRAUD, PLAIN = SECTION.routes


def snapshot(epoch: str, revision: int = 1, of: str = FRAUD.digest) -> Snapshot:
    return Snapshot(revision, {"fraud": Override(of, epoch=epoch)})


def measures(epoch: str = "") -> Measures:
    made = Measures()
    made.follow(SECTION, snapshot(epoch))
    return made


def routes(of: Measures) -> Any:
    told = of.report()
    assert json.loads(json.dumps(told)) == told
    return told["routes"]


def serve(of: Measures, variant: str, *seconds: float | None, ok: bool = True) -> None:
    for each in seconds:
        of.served("fraud", variant, ok, each)


def test_totals_count_from_the_beginning() -> None:
    some = measures()
    serve(some, "old", 0.1, 0.1)
    serve(some, "new", 0.1, ok=False)
    some.served("plain", "echo", True, None)
    assert routes(some) == {
        "fraud": {
            "variants": {"old": {"ok": 2, "failed": 0}, "new": {"ok": 0, "failed": 1}},
            "mirrors": {},
            "window": None,
        },
        "plain": {"variants": {"echo": {"ok": 1, "failed": 0}}, "mirrors": {}, "window": None},
    }


def test_a_report_says_whose_and_under_what() -> None:
    one, other = measures(), measures()
    one.follow(SECTION, snapshot("", revision=7))
    assert one.report() == {"life": one.life, "revision": 7, "routes": {}}
    assert one.life != other.life


def test_latencies_are_counted_when_the_last_of_the_variants_has_settled_and_outcomes_at_once() -> None:
    some = measures("e1")
    serve(some, "old", 9.0, 9.0, 0.1)
    old = {"ok": 3, "failed": 0, "latency": {str(bin_of(0.1)): 1}}
    assert routes(some)["fraud"]["window"]["variants"] == {"old": old}
    serve(some, "new", 9.0, ok=False)
    serve(some, "new", 9.0, 0.2)
    serve(some, "old", 0.1, 0.1, None)
    serve(some, "new", 0.3, ok=False)
    assert routes(some)["fraud"]["window"] == {
        "epoch": "e1",
        "variants": {
            "old": {"ok": 6, "failed": 0, "latency": {str(bin_of(0.1)): 2}},
            "new": {"ok": 2, "failed": 2, "latency": {str(bin_of(0.2)): 1}},
        },
        "mirrors": {},
    }
    assert routes(some)["fraud"]["variants"] == {"old": {"ok": 6, "failed": 0}, "new": {"ok": 2, "failed": 2}}


def test_a_new_epoch_begins_anew_and_the_same_one_goes_on() -> None:
    some = measures("e1")
    serve(some, "old", 0.1, 0.1, 0.1)
    some.follow(SECTION, snapshot("e1", revision=2))
    assert routes(some)["fraud"]["window"]["variants"]["old"]["ok"] == 3
    some.follow(SECTION, snapshot("e2", revision=3))
    assert routes(some)["fraud"]["window"] == {"epoch": "e2", "variants": {}, "mirrors": {}}
    serve(some, "old", 0.1, 0.1)
    assert routes(some)["fraud"]["window"]["variants"] == {"old": {"ok": 2, "failed": 0, "latency": {}}}
    some.follow(SECTION, Snapshot(4))
    assert routes(some)["fraud"]["window"] is None
    assert routes(some)["fraud"]["variants"]["old"] == {"ok": 5, "failed": 0}


def test_a_window_of_another_section_is_none() -> None:
    some = measures()
    some.follow(SECTION, snapshot("e1", of="another"))
    serve(some, "old", 0.1)
    assert routes(some)["fraud"]["window"] is None
    some.follow(SECTION, Snapshot(2, {"gone": Override("x", epoch="e1")}))
    assert list(routes(some)) == ["fraud"]


@pytest.mark.parametrize("same", [True, False])
def test_a_configuration_that_changes_ends_the_windows_of_the_routes_that_change(same: bool) -> None:
    some = measures("e1")
    serve(some, "old", 0.1, 0.1, 0.1)
    changed = {} if same else {"sticky": ("tenant",)}
    other = SECTION.model_copy(update={"routes": (FRAUD.model_copy(update=changed), PLAIN)})
    some.follow(other, snapshot("e1"))
    window = routes(some)["fraud"]["window"]
    assert (window is not None and window["variants"]["old"]["ok"] == 3) is same


def test_a_route_without_a_canary_settles_at_once() -> None:
    some = Measures()
    some.follow(SECTION, Snapshot(1, {"plain": Override(PLAIN.digest, epoch="e1")}))
    some.served("plain", "echo", True, 0.1)
    assert routes(some)["plain"]["window"]["variants"]["echo"]["ok"] == 1


def test_copies_are_counted_by_what_became_of_them() -> None:
    some = measures("e1")
    some.mirrored("fraud", "dark", True, 0.1)
    some.mirrored("fraud", "old~new", True, 0.2)
    some.mirrored("fraud", "old~new", False, 0.3)
    some.mirror_timed_out("fraud", "dark")
    for why in ("full", "busy", "busy", "broken"):
        some.mirror_dropped("fraud", "dark", why)
    told = routes(some)["fraud"]
    assert told["mirrors"] == {
        "dark": {
            "ok": 1,
            "failed": 0,
            "timed_out": 1,
            "dropped": {"full": 1, "busy": 2, "broken": 1},
            "latency": {str(bin_of(0.1)): 1},
        },
        "old~new": {
            "ok": 1,
            "failed": 1,
            "timed_out": 0,
            "dropped": {"full": 0, "busy": 0, "broken": 0},
            "latency": {str(bin_of(0.2)): 1},
        },
    }
    assert told["window"]["mirrors"] == {"dark": {"ok": 1, "failed": 0}, "old~new": {"ok": 1, "failed": 1}}


def test_what_the_configuration_does_not_have_is_not_counted() -> None:
    some = measures()
    some.served("gone", "old", True, 0.1)
    some.mirrored("gone", "dark", True, 0.1)
    some.mirror_timed_out("gone", "dark")
    some.mirror_dropped("gone", "dark", "full")
    assert routes(some) == {}


def test_what_the_configuration_has_no_more_is_forgotten() -> None:
    some = measures()
    serve(some, "old", 0.1)
    serve(some, "new", 0.1)
    some.served("plain", "echo", True, 0.1)
    some.mirrored("fraud", "dark", True, 0.1)
    some.mirrored("fraud", "old~new", True, 0.1)
    some.follow(TrafficSection.model_validate({"routes": [{"model": "fraud", "targets": TARGETS[:1]}]}), Snapshot())
    assert routes(some) == {"fraud": {"variants": {"old": {"ok": 1, "failed": 0}}, "mirrors": {}, "window": None}}
    some.follow(TrafficSection(), Snapshot())
    assert routes(some) == {}
