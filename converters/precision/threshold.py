"""Which absolute value of a tensor to represent at most, chosen from a histogram of its absolute values.

A histogram has `BINS` equal bins from 0 to the largest absolute value that was seen.
"""

from __future__ import annotations

import numpy as np

from converters.arrays import Array

BINS = 2048
LEVELS = 128
"""Absolute values that INT8 tells apart."""
_STRIDE = 8  # candidates are this many bins apart: 0.4 % of the range, far below what INT8 resolves


def percentile_threshold(histogram: Array, largest: float, percentile: float) -> float:
    """The value that `percentile` percent of all absolute values do not exceed.

    Args:
        histogram: counts, shape [BINS].
        largest: the upper edge of the last bin.
        percentile: above 0, at most 100.
    """
    total = histogram.sum()
    if not total or percentile >= 100:
        return largest
    cumulated = np.concatenate([[0.0], np.cumsum(histogram, dtype=np.float64)])
    edges = np.linspace(0.0, largest, len(histogram) + 1)
    return float(np.interp(total * percentile / 100, cumulated, edges))


def entropy_threshold(histogram: Array, largest: float) -> float:
    """The threshold whose quantised distribution diverges least (Kullback-Leibler) from the one that was seen.

    Values beyond a threshold count as the threshold. Of equally good thresholds the largest is taken, so that little
    data cuts nothing off. Bin 0 counts as its neighbour does: zeros, of which there are many after a Relu, are
    represented exactly whatever the threshold, and would outweigh all else.

    Args:
        histogram: counts, shape [BINS].
        largest: the upper edge of the last bin.
    """
    counts = histogram.astype(np.float64)
    counts[0] = counts[1]
    if not counts.any():
        return largest
    candidates = range(LEVELS, len(counts) + 1, _STRIDE)
    best = min(reversed(candidates), key=lambda bins: _divergence(counts, bins))
    return largest * best / len(counts)


def _divergence(counts: Array, bins: int) -> float:
    """Of the first `bins` bins, with all others added to the last one, from the same merged into LEVELS levels."""
    kept = counts[:bins]
    filled = kept > 0
    starts = np.arange(LEVELS) * bins // LEVELS
    level = np.repeat(np.arange(LEVELS), np.diff(starts, append=bins))
    mass = np.add.reduceat(kept, starts)
    spread_over = np.maximum(np.add.reduceat(filled, starts, dtype=np.int64), 1)
    quantised = np.where(filled, (mass / spread_over)[level], 0.0)
    seen = kept.copy()
    seen[-1] += counts[bins:].sum()
    if not quantised.any():
        return float("inf")
    seen /= seen.sum()
    quantised /= quantised.sum()
    where = seen > 0
    tiny = 1e-9  # a bin that the quantised distribution leaves empty must not make the divergence infinite
    return float(np.sum(seen[where] * np.log(seen[where] / np.maximum(quantised[where], tiny))))
