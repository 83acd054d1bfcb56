from gateway.traffic.pins import pinned
from gateway.traffic.sections import TrafficSection


def test_versions_that_are_named_are_pinned() -> None:
    routes = [
        {
            "model": "public",
            "targets": [{"model": "m", "version": 1, "weight": 50}, {"model": "m", "version": 2, "weight": 50}],
            "mirrors": [{"model": "n", "version": 4}, {"model": "o"}],
        },
        {"model": "p"},
    ]
    section = TrafficSection.model_validate({"routes": routes, "aliases": {"stable": "m/3", "latest": "m"}})
    assert pinned(section) == {"m": {1, 2, 3}, "n": {4}}


def test_what_was_said_about_aliases_since_holds() -> None:
    section = TrafficSection(aliases={"stable": "m/3", "old": "m/1"})
    assert pinned(section, {"stable": "m/5", "old": ""}) == {"m": {5}}
