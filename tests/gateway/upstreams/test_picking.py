import random
from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.call import Protocol
from gateway.upstreams.health import Health, Outcome
from gateway.upstreams.picking import eligible, pick


@dataclass(eq=False)
class One:
    busy: float = 0
    health: Health = field(default_factory=lambda: Health(5, 5))

    def load(self, now: float) -> float:
        return self.busy


def in_state(state: str) -> One:
    one = One()
    if state == "ejected":
        for _ in range(5):
            one.health.failed(Protocol.HTTP, 0)
    elif state != "fit":
        one.health.checked(Outcome[state.upper()])
    return one


STATES = st.lists(st.sampled_from(["fit", "ejected", "silent", "unreachable"]), min_size=1, max_size=8)


@given(STATES, st.integers(0, 100))
def test_the_fit_ones_get_requests_unless_they_are_too_few(states: list[str], percent: int) -> None:
    everybody = [in_state(state) for state in states]
    fit = tuple(one for one, state in zip(everybody, states, strict=True) if state == "fit")
    chosen = eligible(everybody, percent)
    assert set(fit) <= set(chosen) <= set(everybody)
    if 100 * len(fit) >= percent * len(states):
        assert chosen == fit
    else:  # panic: also those who are left out or slow, and the dead ones only if there is nobody else
        alive = tuple(one for one, state in zip(everybody, states, strict=True) if state != "unreachable")
        assert chosen == (alive or tuple(everybody))


@given(st.lists(st.integers(0, 20), min_size=1, max_size=10), st.randoms())
def test_one_of_them_is_picked_and_never_the_busiest_of_all(loads: list[int], chance: random.Random) -> None:
    candidates = [One(busy) for busy in loads]
    picked = pick(candidates, 0, chance.random)
    assert picked in candidates
    if sorted(loads)[-1:] != sorted(loads)[-2:-1] and len(loads) > 1:
        assert picked.busy < max(loads)


def test_the_idle_share_evenly() -> None:
    candidates = [One() for _ in range(4)]
    chance = random.Random(7)  # noqa: S311 - no secret
    counts = Counter(id(pick(candidates, 0, chance.random)) for _ in range(4000))
    assert all(900 < count < 1100 for count in counts.values())
    assert len(counts) == 4


def test_loads_level_out() -> None:
    candidates = [One(10), One(0), One(0)]
    chance = random.Random(7)  # noqa: S311 - no secret
    for _ in range(200):
        pick(candidates, 0, chance.random).busy += 1
    loads = [one.busy for one in candidates]
    assert max(loads) - min(loads) <= 5
