from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.call import Sequence
from gateway.upstreams.sequences import Homes, key_of, rank
from tests.gateway.conftest import MakeCall


@dataclass(frozen=True)
class One:
    name: str


def test_a_sequence_is_known_by_model_id_and_target(make_call: MakeCall) -> None:
    assert key_of(make_call(model="m", sequence=Sequence("7"))) == ("m", "7", "")
    assert key_of(make_call(model="m", sequence=Sequence("7"), target="a")) == ("m", "7", "a")


@given(st.text(), st.text(), st.sets(st.text(), min_size=1, max_size=8), st.randoms())
def test_everybody_agrees_and_one_that_leaves_moves_nobody_else(
    model: str, number: str, names: set[str], chance: object
) -> None:
    endpoints = [One(name) for name in sorted(names)]
    order = rank((model, number, ""), endpoints)
    assert rank((model, number, "x"), reversed(endpoints)) == order
    without = [one for one in endpoints if one is not order[-1]]
    assert rank((model, number, ""), without) == order[:-1]


def test_sequences_spread_over_endpoints() -> None:
    endpoints = [One(name) for name in "abc"]
    homes = Counter(rank(("m", str(number), ""), endpoints)[0] for number in range(3000))
    assert all(900 < count < 1100 for count in homes.values())


def test_a_home_is_remembered_until_it_is_forgotten() -> None:
    homes: Homes[str] = Homes(10)
    homes.remember(("m", "1", ""), "a", 3, now=0)
    home = homes.find(("m", "1", ""), now=1)
    assert home is not None
    assert (home.endpoint, home.life) == ("a", 3)
    homes.forget(("m", "1", ""))
    homes.forget(("m", "1", ""))
    assert homes.find(("m", "1", ""), now=1) is None


def test_what_is_idle_too_long_is_forgotten_and_use_keeps_it() -> None:
    homes: Homes[str] = Homes(10)
    homes.remember(("m", "1", ""), "a", 0, now=0)
    homes.remember(("m", "2", ""), "a", 0, now=0)
    assert homes.find(("m", "1", ""), now=9)
    assert homes.find(("m", "2", ""), now=11) is None
    assert homes.find(("m", "1", ""), now=18)
    assert homes.find(("m", "1", ""), now=28) is None
    assert len(homes) == 0


def test_the_one_idle_longest_makes_room() -> None:
    homes: Homes[str] = Homes(10, most=2)
    for number in "12":
        homes.remember(("m", number, ""), "a", 0, now=0)
    homes.find(("m", "1", ""), now=1)
    homes.remember(("m", "3", ""), "a", 0, now=1)
    assert [bool(homes.find(("m", number, ""), now=1)) for number in "123"] == [True, False, True]
