"""The latencies of both sides as two distributions over one axis, as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from gateway.tap.report import words
from gateway.tap.report.elements import Markup, tag
from gateway.tap.report.scale import LEFT, RIGHT, Scale, label, level, line, px, round_up, svg
from gateway.traffic.latency import percentile, seconds_of

MARKED = (50, 95, 99)

_WIDTH, _PLOT = 720, 150
_ROW = 16  # of labels above the plot, one for each side
_TOP = 2 * _ROW + 10
_LABEL = 88  # room that one takes
_MOST_COLUMNS = 72
_FEWEST_BINS = 36  # of the axis: a factor of two
_STEPS = (1, 2, 5)  # of a decade that are told


def latencies(sides: Mapping[str, Mapping[int, int]]) -> Markup:
    """Both distributions, with their percentiles marked.

    Args:
        sides: histograms that are not empty, of "baseline" and "candidate", in bins of `gateway/traffic/latency.py`.
    """
    bins = _bins(sides.values())
    # A bin ends where the next one begins, half a bin from the middles of both.
    across = Scale(_log(bins.start - 0.5), _log(bins.stop - 0.5), LEFT, _WIDTH - RIGHT)
    shares = {side: _columns(histogram, bins) for side, histogram in sides.items()}
    most = min(round_up(max(max(each) for each in shares.values())), 1.0)
    up = Scale(0, most, _TOP + _PLOT, _TOP)
    drawn = [level(up(at), _WIDTH, words.share(at) if at else "0 %") for at in (0, most / 2, most)]
    drawn += [_area(side, each, across, up) for side, each in shares.items()]
    told = []
    for row, (side, histogram) in enumerate(sides.items()):
        marks = {mark: percentile(histogram, mark / 100) for mark in MARKED}
        drawn += _marks(side, marks, across, _ROW * (row + 1) - 4)
        told.append(f"{side}: " + ", ".join(f"p{mark} {words.duration(each)}" for mark, each in marks.items()))
    drawn += _ticks(across)
    return svg((_WIDTH, _TOP + _PLOT + 24), "Latency of both sides", "; ".join(told), drawn)


def _bins(histograms: Iterable[Mapping[int, int]]) -> range:
    """All bins of the axis, whose step is how many of them are one column: a whole number, or columns would waver."""
    used = [number for histogram in histograms for number in histogram]
    low, high = min(used) - 1, max(used) + 2
    missing = max(0, _FEWEST_BINS - (high - low))
    low, high = low - missing // 2, high + missing - missing // 2
    step = math.ceil((high - low) / _MOST_COLUMNS)
    return range(low, low + step * math.ceil((high - low) / step), step)


def _log(number: float) -> float:
    """Where a bin stands on the axis."""
    whole = math.floor(number)
    first, second = math.log10(seconds_of(whole)), math.log10(seconds_of(whole + 1))
    return first + (number - whole) * (second - first)


def _columns(histogram: Mapping[int, int], bins: range) -> list[float]:
    """The share of the requests in each column of the chart."""
    counted = [0] * len(bins)
    for number, count in histogram.items():
        counted[(number - bins.start) // bins.step] += count
    every = sum(counted)
    return [count / every for count in counted]


def _area(side: str, shares: list[float], across: Scale, up: Scale) -> Markup:
    """A stepped outline that is filled."""
    width = (across.end - across.start) / len(shares)
    points = [(across.start, up(0))]
    for number, share in enumerate(shares):
        points += [(across.start + number * width, up(share)), (across.start + (number + 1) * width, up(share))]
    points.append((across.end, up(0)))
    said = " ".join(f"{px(x)},{px(y)}" for x, y in points)
    return tag("polygon", tag("title", side), points=said, class_=f"area {side}")


def _marks(side: str, marks: Mapping[int, float], across: Scale, row: float) -> Iterable[Markup]:
    """A line for each percentile, and its label in the side's own row, beside the others."""
    places = [across(math.log10(seconds)) for seconds in marks.values()]
    labels = _apart([place - _LABEL / 2 for place in places])
    for (mark, seconds), place, left in zip(marks.items(), places, labels, strict=True):
        yield line((place, _TOP), (place, _TOP + _PLOT), f"mark {side}")
        yield line((left + _LABEL / 2, row + 3), (place, _TOP), f"mark {side}")
        yield label((left + _LABEL / 2, row), f"p{mark} {words.duration(seconds)}", "middle", f"name {side}")


def _apart(lefts: list[float]) -> list[float]:
    """Moved so that none covers another, and all are on the chart."""
    placed: list[float] = []
    for left in lefts:
        placed.append(max(left, placed[-1] + _LABEL if placed else 0.0))
    limit = float(_WIDTH)
    for index in reversed(range(len(placed))):
        limit = placed[index] = min(placed[index], limit - _LABEL)
    return placed


def _ticks(across: Scale) -> Iterable[Markup]:
    foot = _TOP + _PLOT
    wide = across.high - across.low > 3  # decades
    for decade in range(math.floor(across.low), math.ceil(across.high) + 1):
        for step in (1,) if wide else _STEPS:
            seconds = step * 10.0**decade
            if across.low <= math.log10(seconds) <= across.high:
                at = across(math.log10(seconds))
                yield line((at, foot), (at, foot + 4), "grid")
                yield label((at, foot + 17), words.duration(seconds))
