"""Who gets a request: pure functions over what is known of the endpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from gateway.upstreams.health import Health

Random = Callable[[], float]
"""Gives numbers from 0 up to, not including, 1."""


class Loaded(Protocol):
    """What can be more or less busy."""

    def load(self, now: float) -> float:
        """How busy it is; less is better."""
        ...


class Watched(Protocol):
    """What can be well or not."""

    @property
    def health(self) -> Health:
        """How it has been doing."""
        ...


L = TypeVar("L", bound=Loaded)
W = TypeVar("W", bound=Watched)


def eligible(candidates: Sequence[W], panic_percent: int) -> tuple[W, ...]:
    """Those of `candidates` that get requests: the fit ones, unless they are so few that they would be overrun.

    Then all that somebody answers at get requests, and if there are none of those, all. With `panic_percent` 0 nobody
    is asked who is not fit, so the result may be empty.
    """
    fit = tuple([one for one in candidates if one.health.fit])
    if 100 * len(fit) >= panic_percent * len(candidates):
        return fit
    return tuple([one for one in candidates if one.health.reachable]) or tuple(candidates)


def pick(candidates: Sequence[L], now: float, random: Random) -> L:
    """The less busy of two that are chosen at random; `candidates` is not empty.

    Two choices are nearly as even as the least busy of all, and do not send everybody to the same endpoint when
    several gateways decide on the same news.
    """
    count = len(candidates)
    if count == 1:
        return candidates[0]
    first = int(random() * count)
    second = int(random() * (count - 1))
    if second >= first:
        second += 1
    one, other = candidates[first], candidates[second]
    return one if one.load(now) <= other.load(now) else other
