"""Latencies as histograms of log-spaced bins: 2 % wide, so that a percentile is right to 1 % whatever its size; pure.

A bin is a whole number: bin 0 begins at one microsecond, and each of the others 2 % above the one before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

_WIDTH = math.log(1.02)
_LEAST, _MOST = 1e-6, 1e3  # seconds
_A_BIN = 1 / _WIDTH  # a product is faster than a quotient
_LOG_LEAST = math.log(_LEAST)


def bin_of(seconds: float) -> int:
    """The bin that `seconds` falls into; what is below 1 us or above 1000 s counts as that."""
    if seconds <= _LEAST:
        return 0
    return int((math.log(min(seconds, _MOST)) - _LOG_LEAST) * _A_BIN)


def seconds_of(number: int) -> float:
    """The middle of a bin, in seconds."""
    return _LEAST * math.exp((number + 0.5) * _WIDTH)


def percentile(histogram: Mapping[int, int], share: float) -> float:
    """The latency in seconds that `share` (above 0, at most 1) of those in the histogram (bin: count) do not exceed.

    Raises:
        ValueError: the histogram is empty.
    """
    wanted = share * sum(histogram.values())
    below = 0
    for number in sorted(histogram):
        below += histogram[number]
        if below and below >= wanted:
            return seconds_of(number)
    raise ValueError("an empty histogram has no percentiles")
