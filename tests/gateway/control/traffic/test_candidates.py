from typing import Any

import pytest

from gateway.control.traffic.candidates import Standing, standing
from gateway.traffic.sections import TargetSection

SECOND = TargetSection(model="fraud", version=2)
ANY = TargetSection(model="fraud")


def told(**sites: Any) -> dict[str, Any]:
    known = {
        name: {"state": state, "reason": reason, "versions": versions}
        for name, (state, reason, *versions) in sites.items()
    }
    return {"models": {"fraud": {"state": "loading", "reason": "", "sites": known}}}


@pytest.mark.parametrize(
    ("target", "sites", "is_ready", "is_gone"),
    [
        (SECOND, {"a": ("ready", "", 1, 2)}, True, False),
        (SECOND, {"a": ("failed", "version 3 is broken", 1, 2)}, True, False),
        (SECOND, {"a": ("ready", "", 1), "b": ("ready", "", 2)}, True, False),
        (SECOND, {"a": ("loading", "", 1)}, False, False),
        (SECOND, {"a": ("waiting", "")}, False, False),
        (SECOND, {"a": ("healing", ""), "b": ("ready", "", 1)}, False, False),
        (SECOND, {"a": ("ready", "", 1)}, False, True),
        (SECOND, {"a": ("unloaded", "")}, False, True),
        (SECOND, {}, False, False),
        (ANY, {"a": ("ready", "", 7)}, True, False),
        (ANY, {"a": ("failed", "no")}, False, True),
    ],
)
def test_whether_it_is_loaded(target: TargetSection, sites: Any, is_ready: bool, is_gone: bool) -> None:
    found = standing(target, told(**sites), ())
    assert (found.is_ready, found.is_gone) == (is_ready, is_gone)


def test_what_others_load_is_not_waited_for() -> None:
    assert standing(SECOND, None, ()) == Standing(is_ready=True, is_gone=False, name="fraud version 2")


def test_what_is_wrong_is_said() -> None:
    assert standing(SECOND, {"models": {}}, ()).trouble == "there is no such model in the repository"
    assert standing(SECOND, told(a=("ready", "", 1)), ()).trouble == "fraud is loaded without it"
    assert standing(SECOND, told(a=("failed", "out of\n memory")), ()).trouble == "out of memory"
    assert len(standing(SECOND, told(a=("failed", "x" * 5000)), ()).trouble) == 160
    refused = {"models": {"fraud": {"state": "refused", "reason": "no such file", "sites": {}}}}
    assert standing(ANY, refused, ()) == Standing(False, True, "fraud", "no such file")


def test_only_the_upstreams_that_are_asked_count() -> None:
    sites, groups = (
        told(a=("ready", "", 1), b=("ready", "", 2)),
        [{"name": "", "http": "a", "group": ""}, {"name": "b", "http": "h", "group": "spare"}],
    )
    assert not standing(SECOND, sites, groups).is_ready
    for name in ("b", "spare"):
        assert standing(TargetSection(model="fraud", version=2, upstreams=name), sites, groups).is_ready
    assert not standing(TargetSection(model="fraud", version=2, upstreams="a"), sites, groups).is_ready
