import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.call import Call
from gateway.core.errors import InvalidRequest
from gateway.traffic.sections import RouteSection, TrafficSection
from gateway.traffic.snapshot import Override, Snapshot
from gateway.traffic.table import Table, Target, Way, weights_of
from tests.gateway.conftest import MakeCall

NOTHING = Snapshot()
SPLIT: dict[str, Any] = {
    "model": "fraud",
    "targets": [
        {"model": "fraud-a", "weight": 90},
        {"model": "fraud-b", "version": 3, "upstreams": "gpu", "weight": 10},
    ],
}
CANARY: dict[str, Any] = {
    "model": "fraud",
    "targets": [{"name": "old", "model": "fraud", "version": 1}, {"name": "new", "model": "fraud", "version": 2}],
    "canary": {"candidate": "new"},
}


def table(*routes: dict[str, Any], snapshot: Snapshot = NOTHING, **traffic: Any) -> Table:
    return Table.compile(TrafficSection.model_validate({**traffic, "routes": routes}), snapshot)


def found(some: Table, call: Call) -> Way:
    way = some.find(call)
    assert way is not None
    return way


def never() -> float:
    raise AssertionError("chance is not asked")


def aims(some: Table, call: Call) -> set[str]:
    """All targets that the call may reach, by chance or by key."""
    return {found(some, call).choose(call, lambda at=at: at / 100).label for at in range(100)}  # type: ignore[misc]


def test_a_model_without_a_route_is_none(make_call: MakeCall) -> None:
    some = table(SPLIT)
    assert some.find(make_call(model="echo")) is None
    assert some.find(make_call(model="")) is None
    assert some.find(make_call(model="fraud-a")) is None  # targets are real models, not looked up again


def test_a_split_gives_each_target_its_share(make_call: MakeCall) -> None:
    call = make_call(model="fraud")
    way, chance = found(table(SPLIT), call), random.Random(1)  # noqa: S311 - no secret
    seen = Counter(way.choose(call, chance.random).label for _ in range(10_000))
    assert seen["fraud-b-3"] == pytest.approx(1000, abs=100)
    assert way.route == "fraud"
    assert way.split.heaviest == Target("fraud-a", "fraud-a", "", "")
    assert way.targets["fraud-b-3"] == Target("fraud-b-3", "fraud-b", "3", "gpu")


def test_a_route_without_targets_leads_to_the_model_of_its_name(make_call: MakeCall) -> None:
    way = found(table({"name": "guarded", "model": "fraud"}), make_call(model="fraud"))
    assert (way.route, way.split.only) == ("guarded", Target("fraud", "fraud", "", ""))


def test_the_first_route_that_fits_is_taken_and_without_one_the_name_means_the_model(make_call: MakeCall) -> None:
    some = table(
        {"name": "beta", "model": "fraud", "when": {"headers": {"x-channel": "beta"}}},
        {"name": "red", "model": "fraud", "when": {"tenants": ["red"]}},
        tenant_header="X-Tenant",
    )
    red, beta = (b"x-tenant", b"red"), (b"x-channel", b"beta")
    assert found(some, make_call(model="fraud", metadata=(red, beta))).route == "beta"
    assert found(some, make_call(model="fraud", metadata=(red,))).route == "red"
    assert some.find(make_call(model="fraud")) is None


@pytest.mark.parametrize(
    ("version", "expected"),
    [("", {"one", "two", "any"}), ("1", {"one"}), ("2", {"two", "preview"}), ("7", {"any"}), ("junk", {"any"})],
)
def test_a_version_of_the_client_s_leads_to_targets_that_have_it(
    make_call: MakeCall, version: str, expected: set[str]
) -> None:
    some = table(
        {
            "model": "m",
            "targets": [
                {"name": "one", "model": "m", "version": 1, "weight": 30},
                {"name": "two", "model": "m", "version": 2, "weight": 20},
                {"name": "preview", "model": "n", "version": 2, "weight": 0},
                {"name": "any", "model": "m", "weight": 50},
            ],
        }
    )
    call = make_call(model="m", version=version)
    assert set(found(some, call).targets) == expected | ({"preview"} if not version else set())
    assert aims(some, call) == expected - {"preview"}
    assert found(some, call).version == ("" if expected & {"one", "two"} else version)


def test_what_weighs_nothing_can_be_asked_for_by_its_version(make_call: MakeCall) -> None:
    assert aims(table(CANARY), make_call(model="fraud")) == {"old"}
    assert aims(table(CANARY), make_call(model="fraud", version="2")) == {"new"}


def test_a_version_that_no_target_has_is_refused_with_those_there_are(make_call: MakeCall) -> None:
    with pytest.raises(InvalidRequest, match="model 'fraud' has no version '3'; there are: 1, 2; name one of them"):
        table(CANARY).find(make_call(model="fraud", version="3"))
    with pytest.raises(InvalidRequest) as refused:
        table(CANARY).find(make_call(model="fraud", version="\n" * 5000))
    assert len(refused.value.message) < 250
    assert "\n" not in refused.value.message


def test_a_client_keeps_its_target(make_call: MakeCall) -> None:
    some = table({**SPLIT, "sticky": ["header:x-user", "peer"]})
    seen = Counter[str]()
    for number in range(2000):
        call = make_call(model="fraud", metadata=((b"x-user", b"%d" % number),))
        target = found(some, call).choose(call, never)
        assert found(table({**SPLIT, "sticky": ["cookie:u", "header:x-user"]}), call).choose(call, never) == target
        seen[target.label] += 1
    assert seen["fraud-b-3"] == pytest.approx(200, abs=50)
    assert aims(some, make_call(model="fraud")) == {"fraud-a", "fraud-b-3"}  # nothing to know it by: chance


def test_a_sequence_has_a_target_by_its_id(make_call: MakeCall) -> None:
    way = found(table({**SPLIT, "sticky": ["sequence"]}), make_call(model="fraud"))
    assert Counter(way.keyed(str(number)).label for number in range(2000))["fraud-b-3"] == pytest.approx(200, abs=50)
    assert way.keyed("\ud800") == way.keyed("\ud800")
    assert found(table(CANARY), make_call(model="fraud")).keyed("7").label == "old"


def route(told: dict[str, Any]) -> RouteSection:
    return RouteSection.model_validate(told)


def test_weights_are_those_of_the_snapshot_if_it_means_this_very_section() -> None:
    split, canary = route(SPLIT), route(CANARY)
    assert weights_of(split, None) == {"fraud-a": 90, "fraud-b-3": 10}
    assert weights_of(split, Override(split.digest, {"fraud-b-3": 100})) == {"fraud-a": 0, "fraud-b-3": 100}
    assert weights_of(split, Override("another", {"fraud-b-3": 100})) == {"fraud-a": 90, "fraud-b-3": 10}
    assert weights_of(split, Override(split.digest)) == {"fraud-a": 90, "fraud-b-3": 10}
    assert weights_of(route({"model": "m"}), None) == {"m": 100}
    assert weights_of(route({"model": "m", "targets": [{"model": "n"}]}), None) == {"n": 100}
    assert weights_of(canary, None) == {"new": 0, "old": 100}
    told = weights_of(canary, Override(canary.digest, {"old": 95, "new": 5}))
    assert list(told.items()) == [("new", 5), ("old", 95)]  # first is who takes over


@given(st.lists(st.floats(0, 100), min_size=2, max_size=6), st.integers(0, 10_000))
def test_a_rising_share_moves_nobody_off_the_candidate(shares: list[float], user: int) -> None:
    section = route({**CANARY, "sticky": ["header:x-user"]})
    had = False
    for share in sorted(shares):
        override = Override(section.digest, {"new": share, "old": 100 - share})
        some = Table.compile(TrafficSection(routes=(section,)), Snapshot(1, {"fraud": override}))
        has = some._names["fraud"].routes[0].way.keyed(str(user)).label == "new"
        assert has >= had
        had = has


def test_aliases_mean_what_they_stand_for(make_call: MakeCall) -> None:
    some = table(
        SPLIT, aliases={"stable": "fraud", "pinned": "fraud/3", "far": "near", "near": "echo/2", "plain": "echo"}
    )
    assert found(some, make_call(model="stable")).route == "fraud"
    assert aims(some, make_call(model="stable")) == {"fraud-a", "fraud-b-3"}
    assert aims(some, make_call(model="stable", version="9")) == {"fraud-a"}
    assert aims(some, make_call(model="pinned")) == {"fraud-b-3"}
    assert aims(some, make_call(model="pinned", version="3")) == {"fraud-b-3"}
    far, plain = found(some, make_call(model="far")), found(some, make_call(model="plain", version="4"))
    assert (far.route, far.split.only, far.version) == ("", Target("", "echo", "", ""), "2")
    assert (plain.route, plain.split.only, plain.version) == ("", Target("", "echo", "", ""), "4")
    with pytest.raises(InvalidRequest, match="'pinned' is version 3 of its model, and cannot be asked for version '1'"):
        some.find(make_call(model="pinned", version="1"))


def test_an_alias_of_a_route_that_does_not_fit_means_the_model(make_call: MakeCall) -> None:
    some = table({"model": "fraud", "when": {"headers": {"x-a": "b"}}}, aliases={"stable": "fraud"})
    way = found(some, make_call(model="stable"))
    assert (way.route, way.split.only) == ("", Target("", "fraud", "", ""))
    assert found(some, make_call(model="stable", metadata=((b"x-a", b"b"),))).route == "fraud"


def test_the_snapshot_gives_changes_and_takes_aliases(make_call: MakeCall) -> None:
    snapshot = Snapshot(1, {}, {"a": "", "b": "new", "c": "echo"})
    some = table(snapshot=snapshot, aliases={"a": "echo", "b": "old"})
    assert some.find(make_call(model="a")) is None
    assert found(some, make_call(model="b")).targets[""].model == "new"
    assert found(some, make_call(model="c")).targets[""].model == "echo"


@pytest.mark.parametrize(
    "aliases", [{"a": "a"}, {"a": "b", "b": "a"}, {"a": "b/1", "b": "c", "c": "b"}, {"a": "b/1", "b": "echo/2"}]
)
def test_an_alias_that_leads_nowhere_is_none(make_call: MakeCall, aliases: dict[str, str]) -> None:
    assert table(aliases=aliases).find(make_call(model="a")) is None


def test_a_route_s_name_is_no_alias(make_call: MakeCall) -> None:
    assert found(table(SPLIT, aliases={"fraud": "echo"}), make_call(model="fraud")).route == "fraud"


def test_what_has_not_changed_is_taken_over(make_call: MakeCall) -> None:
    section = TrafficSection.model_validate({"routes": [SPLIT, {"model": "other"}]})
    before = Table.compile(section, NOTHING)
    override = Override(section.routes[0].digest, {"fraud-b-3": 100})
    after = Table.compile(section, Snapshot(1, {"fraud": override}), before)
    other, fraud = make_call(model="other"), make_call(model="fraud")
    assert found(after, other) is found(before, other)
    assert aims(after, fraud) == {"fraud-b-3"}
    assert aims(before, fraud) == {"fraud-a", "fraud-b-3"}
    assert aims(Table.compile(section, NOTHING, after), fraud) == {"fraud-a", "fraud-b-3"}
    trusting = section.model_copy(update={"tenant_header": "x-tenant"})
    assert found(Table.compile(trusting, NOTHING, before), other) is not found(before, other)


def test_a_name_is_routed_if_routes_are_for_it() -> None:
    some = table({"model": "shop", "when": {"hosts": ["a"]}}, aliases={"also": "fraud", "store": "shop"})
    assert [some.is_routed(name) for name in ("shop", "store", "also", "fraud")] == [True, True, False, False]
