import pytest

from gateway.control.traffic.aliases import Aliases
from gateway.control.traffic.refusals import NotNow, NotThere, Refused
from gateway.control.traffic.state import AliasState, Remembered
from gateway.control.traffic.steering import By
from tests.gateway.control.traffic.rig import SPLIT, section

BY = By("ada", "a reason", 5.0)


@pytest.fixture
def remembered() -> Remembered:
    return Remembered()


@pytest.fixture
def aliases(remembered: Remembered) -> Aliases:
    return Aliases(section(SPLIT, aliases={"stable": "iris", "best": "stable"}), remembered)


def test_an_alias_is_set_changed_and_taken_away(aliases: Aliases) -> None:
    assert aliases.set("latest", "fraud/3", BY) == "means fraud/3"
    assert aliases.set("latest", "fraud/4", BY) == "means fraud/4"
    assert aliases.by_hand == {"latest": "fraud/4"}
    assert aliases.meanings == {"stable": "iris", "best": "stable", "latest": "fraud/4"}
    assert aliases.remove("latest", BY) == "taken away"
    assert aliases.by_hand == {}


def test_one_of_the_configuration_too(aliases: Aliases) -> None:
    aliases.remove("stable", BY)
    assert aliases.by_hand == {"stable": ""}
    assert aliases.meanings == {"best": "stable"}
    with pytest.raises(NotThere, match="taken away already"):
        aliases.remove("stable", BY)
    aliases.set("stable", "iris", BY)
    assert aliases.by_hand == {}


def test_the_list_has_all_that_is_known(aliases: Aliases) -> None:
    aliases.remove("best", BY)
    aliases.set("latest", "fraud", BY)
    assert [(each["name"], each["to"], each["configured"], each["by_hand"]) for each in aliases.as_list()] == [
        ("best", None, "stable", True),
        ("latest", "fraud", None, True),
        ("stable", "iris", "iris", False),
    ]
    assert aliases.as_list()[1]["history"] == [{"at": 5.0, "who": "ada", "what": "means fraud", "why": "a reason"}]


@pytest.mark.parametrize(
    ("name", "to", "said"),
    [
        ("iris", "fraud", "has a route already"),
        ("stable", "best", "stable -> best -> stable"),
        ("own", "own", "own -> own"),
        ("a", "iris/x", "neither NAME nor NAME/VERSION"),
        ("a", "iris/0", "neither NAME nor NAME/VERSION"),
        ("a b", "iris", "cannot be"),
        ("a", "", "cannot be"),
        ("a", "../etc", "cannot be"),
        ("stable", "iris", "already"),
    ],
)
def test_what_makes_no_sense_is_refused(aliases: Aliases, name: str, to: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        aliases.set(name, to, BY)
    assert aliases.by_hand == {}


def test_an_alias_that_is_not_there_is_named_with_the_nearest(aliases: Aliases) -> None:
    with pytest.raises(NotThere, match="did you mean 'stable'"):
        aliases.remove("stabel", BY)


def test_a_loop_through_one_that_was_taken_away_is_none(aliases: Aliases) -> None:
    aliases.remove("best", BY)
    aliases.set("stable", "best", BY)
    with pytest.raises(Refused, match="lead back"):
        aliases.set("best", "stable", BY)


def test_they_are_bounded(aliases: Aliases) -> None:
    for number in range(1000):
        aliases.set(f"a{number}", "fraud", BY)
    with pytest.raises(NotNow, match="1000 aliases"):
        aliases.set("more", "fraud", BY)
    aliases.set("a1", "iris", BY)


def test_a_changed_configuration_wins_over_what_it_changes(aliases: Aliases, remembered: Remembered) -> None:
    aliases.set("stable", "fraud", BY)
    aliases.set("latest", "fraud", BY)
    assert aliases.reconfigure(section(SPLIT, aliases={"stable": "iris", "best": "x"})) == []
    [line] = aliases.reconfigure(section(SPLIT, aliases={"stable": "magika"}))
    assert line.startswith("alias stable: the configuration has changed")
    assert aliases.meanings == {"stable": "magika", "latest": "fraud"}


def test_one_that_a_route_or_a_loop_makes_impossible_is_forgotten(remembered: Remembered) -> None:
    remembered.aliases = {"iris": AliasState("", "fraud"), "a": AliasState("", "b"), "ok": AliasState("", "c")}
    aliases = Aliases(section(), remembered)
    assert len(aliases.reconfigure(section(SPLIT, aliases={"b": "a"}))) == 2
    assert aliases.by_hand == {"ok": "c"}
