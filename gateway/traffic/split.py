"""Requests by weight: by chance, or by a hash, so that whoever has the same key has the same share; pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from hashlib import blake2b
from itertools import accumulate
from typing import Generic, TypeVar

T = TypeVar("T")

_BITS = 53  # as many as a number below 1 keeps exactly


class Split(Generic[T]):
    """Choices with weights.

    The first choice has the numbers from 0 to its share, and so on: whoever has the first choice by his hash keeps it
    when its weight is raised. So what is to take over comes first.

    Args:
        weighted: at least one choice, each with its weight; what weighs nothing is never chosen, unless nothing weighs
            anything: then it is the first.

    Attributes:
        heaviest: the choice that weighs most; of equals the first.
        only: the choice that is always taken; None if there are several.
    """

    __slots__ = ("_bounds", "_choices", "heaviest", "only")

    def __init__(self, weighted: Iterable[tuple[T, float]]) -> None:
        everything = list(weighted)
        some = [pair for pair in everything if pair[1] > 0] or [(everything[0][0], 1.0)]
        total = sum(weight for _, weight in some)
        # The last bound is where the numbers end, so no rounding error leaves a gap there.
        self._bounds = [bound / total for bound in accumulate(weight for _, weight in some[:-1])]
        self._choices = [choice for choice, _ in some]
        self.heaviest = max(some, key=lambda pair: pair[1])[0]
        self.only = self._choices[0] if len(some) == 1 else None

    def at(self, point: float) -> T:
        """The choice at a number from 0 to below 1."""
        return self._choices[bisect_right(self._bounds, point)]

    def by(self, random: Callable[[], float]) -> T:
        """The choice by chance; `random` gives at least 0, below 1."""
        return self.only if self.only is not None else self._choices[bisect_right(self._bounds, random())]


def stable(label: str, key: bytes) -> float:
    """The number from 0 to below 1 that `key` always has under `label`."""
    digest = blake2b(label.encode() + b"\0" + key, digest_size=8).digest()
    return (int.from_bytes(digest) >> (64 - _BITS)) / 2.0**_BITS
