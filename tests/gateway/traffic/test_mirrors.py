from typing import Any

from gateway.traffic.mirrors import Mirrors
from gateway.traffic.sections import TrafficSection
from gateway.traffic.snapshot import Override, Snapshot

TWO = [{"model": "m", "version": 1, "weight": 90, "name": "old"}, {"model": "m", "version": 2, "weight": 10}]
CANARY = {
    "model": "m",
    "targets": [{"model": "m", "version": 1, "name": "old"}, {"model": "m2", "upstreams": "new", "name": "new"}],
    "canary": {"candidate": "new", "compare": {"by": "top1"}},
}


def traffic(*routes: dict[str, Any], **given: Any) -> TrafficSection:
    return TrafficSection.model_validate({"routes": routes, **given})


def override(section: TrafficSection, **given: Any) -> Snapshot:
    route = section.routes[0]
    return Snapshot(1, {route.label: Override(**({"of": route.digest} | given))})


def names(mirrors: Mirrors, route: str = "m") -> dict[str, list[str]]:
    return {variant: [shadow.name for shadow in shadows] for variant, shadows in mirrors.routes.get(route, {}).items()}


def test_nothing_is_false() -> None:
    assert not Mirrors.compile(TrafficSection(), Snapshot())
    assert not Mirrors.compile(traffic({"model": "m"}, {"model": "n", "targets": TWO}), Snapshot())
    assert not Mirrors.compile(traffic(CANARY), Snapshot())


def test_a_route_without_targets_has_one_of_the_same_name() -> None:
    mirrors = Mirrors.compile(traffic({"model": "m", "mirrors": [{"model": "n"}]}), Snapshot())
    assert mirrors
    assert names(mirrors) == {"m": ["n"]}


def test_all_targets_are_copied_to_all_mirrors() -> None:
    route = {"name": "r", "model": "m", "targets": TWO, "mirrors": [{"model": "n", "version": 3}, {"model": "o"}]}
    mirrors = Mirrors.compile(traffic(route), Snapshot())
    assert names(mirrors, "r") == {"old": ["n-3", "o"], "m-2": ["n-3", "o"]}


def test_what_the_section_says() -> None:
    mirror = {
        "name": "next",
        "model": "n",
        "version": 3,
        "upstreams": "shadows",
        "percent": 12.5,
        "timeout_seconds": 0.5,
        "most_in_flight": 2,
        "most_mib": 3,
        "drop_above": 4,
        "compare": {},
    }
    mirrors = Mirrors.compile(traffic({"name": "r", "model": "m", "mirrors": [mirror, {"model": "o"}]}), Snapshot())
    first, second = mirrors.routes["r"]["m"]
    assert (first.route, first.name, first.public) == ("r", "next", "m")
    assert (first.model, first.version, first.target) == ("n", "3", "shadows")
    assert (first.percent, first.seconds) == (12.5, 0.5)
    assert (first.most_in_flight, first.most_bytes, first.drop_above) == (2, 3 * 2**20, 4)
    assert (first.compares, first.epoch) == (True, "")
    assert (second.version, second.target, second.compares) == ("", "", False)


def test_the_candidate_shadows_the_baseline_while_control_wants_it() -> None:
    section = traffic(CANARY)
    mirrors = Mirrors.compile(section, override(section, shadow_percent=25.0, epoch="e1"))
    assert names(mirrors) == {"old": ["old~new"]}
    (shadow,) = mirrors.routes["m"]["old"]
    assert (shadow.model, shadow.version, shadow.target) == ("m2", "", "new")
    assert (shadow.percent, shadow.compares, shadow.epoch, shadow.most_in_flight) == (25.0, True, "e1", 16)
    assert not Mirrors.compile(section, override(section, epoch="e1"))


def test_a_canary_may_have_mirrors_of_its_own() -> None:
    section = traffic(CANARY | {"mirrors": [{"model": "n"}]})
    mirrors = Mirrors.compile(section, override(section, shadow_percent=5.0, epoch="e"))
    assert names(mirrors) == {"old": ["n", "old~new"], "new": ["n"]}
    assert {shadow.epoch for shadows in mirrors.routes["m"].values() for shadow in shadows} == {"e"}


def test_what_control_decided_for_another_section_means_nothing() -> None:
    section = traffic(CANARY)
    assert not Mirrors.compile(section, override(section, of="another", shadow_percent=25.0))


def test_other_limits_do_not_make_another_shadow() -> None:
    def shadow(**given: Any) -> tuple[str, ...]:
        mirrors = Mirrors.compile(traffic({"model": "m", "mirrors": [{"model": "n"} | given]}), Snapshot())
        return mirrors.routes["m"]["m"][0].key

    assert shadow() == shadow(percent=5, most_in_flight=3, compare={})
    assert len({shadow(), shadow(version=2), shadow(upstreams="u"), shadow(name="x"), shadow(model="y")}) == 5


def test_the_tenants_header_in_lower_case() -> None:
    assert Mirrors.compile(TrafficSection(tenant_header="X-Tenant"), Snapshot()).tenant_header == b"x-tenant"
    assert Mirrors.compile(TrafficSection(), Snapshot()).tenant_header is None
