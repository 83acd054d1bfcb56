import random
from collections import Counter
from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.traffic.split import Split, stable

WEIGHTS = st.lists(st.floats(0, 100), min_size=1, max_size=6)
POINTS = st.floats(0, 1, exclude_max=True)

# What chi-square exceeds once in 1,000 where there is nothing but chance, by degrees of freedom (any table has them).
_CRITICAL = {1: 10.828, 2: 13.816, 3: 16.266, 4: 18.467}


def chi_square(seen: Mapping[int, int], weights: list[float]) -> float:
    total, requests = sum(weights), sum(seen.values())
    expected = {choice: requests * weight / total for choice, weight in enumerate(weights) if weight}
    assert set(seen) <= set(expected)
    return sum((seen.get(choice, 0) - count) ** 2 / count for choice, count in expected.items())


def of(weights: Iterable[float]) -> Split[int]:
    return Split(enumerate(weights))


@given(WEIGHTS, POINTS)
def test_what_weighs_nothing_is_never_chosen_unless_nothing_weighs_anything(weights: list[float], at: float) -> None:
    chosen = of(weights).at(at)
    assert weights[chosen] > 0 or (not any(weights) and chosen == 0)


@given(WEIGHTS)
def test_every_number_has_a_choice_and_their_order_is_that_of_the_choices(weights: list[float]) -> None:
    split = of(weights)
    chosen = [split.at(at) for at in (0.0, 0.2, 0.4, 0.6, 0.8, 0.999999, 1 - 2.0**-53)]
    assert chosen == sorted(chosen)


@given(WEIGHTS)
def test_the_heaviest_weighs_most_and_the_only_one_is_alone(weights: list[float]) -> None:
    split = of(weights)
    assert weights[split.heaviest] == max(weights)
    assert (split.only is None) == (sum(weight > 0 for weight in weights) > 1)


@given(st.floats(0, 100), st.floats(0, 100), st.binary(max_size=20))
def test_raising_the_first_one_s_share_moves_nobody_off_it(one: float, other: float, key: bytes) -> None:
    less, more = sorted((one, other))
    if of([less, 100 - less]).at(stable("route", key)) == 0 and less:
        assert of([more, 100 - more]).at(stable("route", key)) == 0


def test_a_share_that_rises_step_by_step_moves_only_those_it_takes() -> None:
    keys = [stable("fraud", b"user-%d" % number) for number in range(5000)]
    before: set[int] = set()
    for percent in (1, 5, 25, 50, 100):
        split = of([percent, 100 - percent])
        have = {number for number, key in enumerate(keys) if split.at(key) == 0}
        assert before <= have
        assert len(have) == pytest.approx(5000 * percent / 100, rel=0.35)
        before = have
    assert len(before) == 5000


@pytest.mark.parametrize(
    "weights", [[90.0, 10.0], [1.0, 99.0], [50.0, 0.0, 50.0], [20.0, 30.0, 50.0], [5.0, 5.0, 40.0, 50.0]]
)
@pytest.mark.parametrize("seed", range(3))
def test_chance_keeps_to_the_weights(weights: list[float], seed: int) -> None:
    split, chance = of(weights), random.Random(seed)  # noqa: S311 - no secret
    seen = Counter(split.by(chance.random) for _ in range(20_000))
    assert chi_square(seen, weights) < _CRITICAL[sum(map(bool, weights)) - 1]


@pytest.mark.parametrize("label", ["fraud", "magika", "a"])
@pytest.mark.parametrize("form", [b"%d", b"user-%d@example.com", b"00000000-0000-4000-8000-%012d"])
def test_the_hash_keeps_to_the_weights(label: str, form: bytes) -> None:
    weights = [10.0, 20.0, 30.0, 40.0]
    seen = Counter(of(weights).at(stable(label, form % number)) for number in range(20_000))
    assert chi_square(seen, weights) < _CRITICAL[3]


def test_routes_split_their_users_independently_of_each_other() -> None:
    split = of([50.0, 50.0])
    keys = [b"%d" % number for number in range(20_000)]
    seen = Counter(2 * split.at(stable("a", key)) + split.at(stable("b", key)) for key in keys)
    assert chi_square(seen, [25.0] * 4) < _CRITICAL[3]


@given(st.text(max_size=10), st.binary(max_size=40))
def test_a_key_has_one_number_from_0_to_below_1(label: str, key: bytes) -> None:
    assert 0 <= stable(label, key) < 1
    assert stable(label, key) == stable(label, bytes(bytearray(key)))


def test_a_key_s_number_is_the_same_in_every_process_and_version() -> None:
    assert (stable("fraud", b"user-1"), stable("fraud", b"user-2")) == (0.7542530024122089, 0.36622446556650545)


def test_one_choice_needs_no_chance() -> None:
    def chance() -> float:
        raise AssertionError

    assert of([0.0, 100.0, 0.0]).by(chance) == 1
