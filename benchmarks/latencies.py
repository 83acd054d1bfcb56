"""Lognormal latencies by the million, as histograms with the bins of `gateway.traffic.latency`."""

from __future__ import annotations

import math
from collections.abc import ItemsView, Iterator, Mapping, ValuesView

import numpy as np
from numpy.typing import NDArray

from gateway.traffic.latency import bin_of, seconds_of

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_MEDIAN_SECONDS = 0.02
_MOST_SHIFT = 20  # bins by which latencies swing at most, 2 % each


class Latencies(Mapping[int, int]):
    """A histogram that is drawn when somebody looks at it: most seconds nobody does.

    Args:
        chances: of each bin, from the first one on.
        first: that bin.
        rng: draws.
    """

    def __init__(self, chances: Floats, first: int, rng: np.random.Generator) -> None:
        self._chances, self._rng = chances, rng
        self._numbers = range(first - _MOST_SHIFT, first + len(chances) + _MOST_SHIFT)
        self._drawn_so_far = np.zeros(len(self._numbers), np.int64)
        self._counts: dict[int, int] = {}
        self._pending: dict[int, int] = {}

    def add(self, shift: int, requests: int) -> None:
        """Some more requests, whose latencies are `shift` bins higher than usual."""
        self._pending[shift] = self._pending.get(shift, 0) + requests

    def _drawn(self) -> dict[int, int]:
        if self._pending:
            size = len(self._chances)
            for shift, requests in self._pending.items():
                at = shift + _MOST_SHIFT
                self._drawn_so_far[at : at + size] += self._rng.multinomial(requests, self._chances)
            self._pending.clear()
            pairs = zip(self._numbers, self._drawn_so_far.tolist(), strict=True)
            self._counts = {number: count for number, count in pairs if count}
        return self._counts

    def __getitem__(self, number: int) -> int:
        return self._drawn()[number]

    def __iter__(self) -> Iterator[int]:
        return iter(self._drawn())

    def __len__(self) -> int:
        return len(self._drawn())

    def get(self, number: int, default: int = 0) -> int:  # type: ignore[override]
        """As of a dict, and as fast."""
        return self._drawn().get(number, default)

    def items(self) -> ItemsView[int, int]:
        """As of a dict, and as fast."""
        return self._drawn().items()

    def values(self) -> ValuesView[int]:
        """As of a dict, and as fast."""
        return self._drawn().values()


def chances(sigma: float, times: float) -> tuple[int, Floats]:
    """The first of the bins that a lognormal latency falls into, and the chance of each from there on.

    Args:
        sigma: standard deviation of its logarithm.
        times: the median, as a multiple of 20 ms.
    """
    median = math.log(_MEDIAN_SECONDS * times)
    first, last = bin_of(math.exp(median - 5 * sigma)), bin_of(math.exp(median + 5 * sigma))
    half = math.log(1.02) / 2
    edges = [(math.log(seconds_of(number)) - half - median) / sigma for number in range(first, last + 2)]
    below = np.array([0.5 * math.erfc(-edge / math.sqrt(2)) for edge in edges])
    of_bins = np.diff(below)
    return first, of_bins / of_bins.sum()
