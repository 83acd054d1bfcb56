"""The charts of agreement and errors, as inline SVG."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from gateway.tap.report import words
from gateway.tap.report.elements import Markup
from gateway.tap.report.model import Counts, OutputStatistics, Timeline
from gateway.tap.report.scale import LEFT, RIGHT, Scale, bar, label, level, line, power_of_ten, round_up, svg
from gateway.tap.tally import A_DECADE

WIDE, NARROW = 720, 420
_BAR, _THICK = 480, 14  # a single bar, which fits whatever screen there is
_TOP, _PLOT = 12, 120
_ASIDE = 26  # for what no logarithmic axis has: 0, and what is no number
_GAP = 14
_FEWEST_DECADES = 3
_TIME_LABELS = 6
_MINUTE, _DAY = 60, 86400


def total(counts: Counts) -> Markup:
    """One bar: how many agreed, differed, and could not be read; the parts that are there are never invisible."""
    parts = [
        (counts.agreed, "good", "agreed"),
        (counts.differed, "bad", "differed"),
        (counts.unreadable, "off", "unreadable"),
    ]
    every = sum(number for number, _, _ in parts)
    shown = [max(number / every, 0.006) if number else 0.0 for number, _, _ in parts] if every else []
    drawn, x = [bar((0, _BAR), (0, _THICK), "track", "nothing yet")], 0.0
    for (number, kind, what), part in zip(parts, shown, strict=False):
        width = part / sum(shown) * _BAR
        drawn.append(bar((x, x + width), (0, _THICK), kind, f"{what}: {number} ({words.share(number / every)})"))
        x += width
    told = ", ".join(f"{number} {what}" for number, _, what in parts)
    return svg((_BAR, _THICK), "All comparisons", told, drawn)


def over_time(timeline: Timeline) -> Markup:
    """For each period a column: which share of its answers differed; where a period has none, a mark at the foot."""
    numbers = sorted(timeline.periods)
    first, last = numbers[0], max(numbers[-1], numbers[0] + 11)
    shares = {number: _differing(timeline.periods[number]) for number in numbers}
    most = max(shares.values())
    top = min(round_up(most), 1.0) if most else 0.01
    across, up = Scale(first, last + 1, LEFT, WIDE - RIGHT), Scale(0, top, _TOP + _PLOT, _TOP)
    drawn = [level(up(at), WIDE, words.share(at) if at else "0 %") for at in (0, top / 2, top)]
    for number in numbers:
        counts, differed = timeline.periods[number], shares[number]
        said = f"{words.moment(number * timeline.width)}: {counts.differed} of {counts.compared} differed"
        sides = across(number), max(across(number + 1) - 1, across(number) + 0.6)
        drawn.append(bar(sides, (_TOP + _PLOT, _TOP + _PLOT + 4), "good" if not differed else "bad", said))
        if differed:
            drawn.append(bar(sides, (min(up(differed), _TOP + _PLOT - 2), _TOP + _PLOT), "bad", said))
    drawn += _times(timeline, across)
    told = f"At most {words.share(most)} of the answers of {_length(timeline.width)} differed"
    return svg((WIDE, _TOP + _PLOT + 24), "Share of answers that differed, over time (UTC)", told, drawn)


def errors(name: str, output: OutputStatistics, allowed: float | None) -> Markup:
    """How many answers had a largest error in each bin of a logarithmic axis; those of 0 stand left of it.

    Args:
        name: of the output.
        output: its statistics, with at least one error.
        allowed: the error that is allowed in any case, which is marked; None for no such limit.
    """
    low, high = _decades(output, allowed)
    most = round_up(max([output.exact, output.infinite, *output.errors.values()]))
    start, end = LEFT + _ASIDE + _GAP, NARROW - RIGHT - _ASIDE - _GAP
    across = Scale(low * A_DECADE, high * A_DECADE, start, end)
    up = Scale(0, most, _TOP + _PLOT, _TOP)
    drawn = [level(up(at), NARROW, _short(at)) for at in ((0, most / 2, most) if most > 1 else (0, most))]
    foot = _TOP + _PLOT
    columns = [((LEFT + 3.0, LEFT + _ASIDE + 0.0), output.exact, "good", "no error at all")]
    columns += [
        ((across(number) + 0.5, across(number + 1) - 0.5), output.errors[number], "error", _bounds(number))
        for number in sorted(output.errors)
    ]
    columns.append(((end + _GAP, end + _GAP + _ASIDE - 3), output.infinite, "bad", "not a number, or infinite"))
    for sides, number, kind, what in columns:
        if number:
            drawn.append(bar(sides, (min(up(number), foot - 2), foot), kind, f"{what}: {words.count(number)} answers"))
    drawn += [
        label((LEFT + _ASIDE / 2 + 1, foot + 16), "0"),
        label((end + _GAP + _ASIDE / 2 - 1, foot + 16), words.INFINITE),
    ]
    step = math.ceil((high - low) / 7)
    for decade in range(low, high + 1, step):
        at = across(decade * A_DECADE)
        drawn += [line((at, foot), (at, foot + 4), "grid"), label((at, foot + 16), power_of_ten(decade))]
    if allowed:
        at = across(math.log10(allowed) * A_DECADE)
        drawn += [line((at, _TOP - 4), (at, foot), "limit"), _beside(at, "allowed")]
    told = "; ".join(f"{what}: {number}" for _, number, _, what in columns if number)
    return svg((NARROW, foot + 24), f"Largest error of output {name}, in answers", told, drawn)


def _beside(at: float, said: str) -> Markup:
    """A label at the side of a line where there is more room."""
    right = at < NARROW / 2
    return label((at + 4 if right else at - 4, _TOP + 10), said, "start" if right else "end", "limit")


def _differing(counts: Counts) -> float:
    return counts.differed / counts.compared if counts.compared else 0.0


def _times(timeline: Timeline, across: Scale) -> list[Markup]:
    """Labels below a time axis."""
    days = (across.high - across.low) * timeline.width > _DAY
    step = max(1, math.ceil((across.high - across.low) / _TIME_LABELS))
    drawn = []
    for number in range(-(-int(across.low) // step) * step, int(across.high), step):
        when = datetime.fromtimestamp(number * timeline.width, UTC)
        said = when.strftime("%m-%d %H:%M" if days else "%H:%M" if timeline.width >= _MINUTE else "%H:%M:%S")
        drawn.append(label((across(number), _TOP + _PLOT + 18), said, "start"))
    return drawn


def _decades(output: OutputStatistics, allowed: float | None) -> tuple[int, int]:
    """The powers of ten between which all errors lie."""
    bins = list(output.errors)
    if allowed:
        bins.append(math.floor(math.log10(allowed) * A_DECADE))
    if not bins:
        bins = [-3 * A_DECADE]
    low, high = math.floor(min(bins) / A_DECADE), math.floor(max(bins) / A_DECADE) + 1
    missing = max(0, _FEWEST_DECADES - (high - low))
    return low - missing // 2, high + missing - missing // 2


def _bounds(number: int) -> str:
    low, high = (10 ** (at / A_DECADE) for at in (number, number + 1))
    return f"{low:.2g} to {high:.2g}"


def _short(number: float) -> str:
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor:
            return f"{number / factor:.3g}{unit}"
    return f"{number:g}"


def _length(seconds: int) -> str:
    for factor, unit in ((_DAY, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * factor:
            return f"{seconds / factor:.3g} {unit}"
    return f"{seconds} seconds"
