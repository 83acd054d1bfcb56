"""Charts as inline SVG: readable without scripts, coloured by the page's style, told to screen readers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from converters.report.elements import Html, element
from converters.report.words import figure, share
from converters.verify.base import Histogram, OutputDifference

WIDTH = 320
_LEFT, _RIGHT, _TOP, _PLOT = 40, 16, 8, 96  # around and of the histogram's plot
_TICKS = 7  # labels below a histogram at most
_FEWEST_BINS = 5
_ROW = 36  # of one horizontal bar with its label
_LONGEST_LABEL = 30
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True)
class Bar:
    """One horizontal bar.

    Attributes:
        label: what it stands for.
        value: its length in the chart's unit; not finite or below 0 is drawn as nothing.
        told: the value in words.
        kind: "before" is what others are compared to; "engine" is of another format.
    """

    label: str
    value: float
    told: str
    kind: Literal["before", "after", "engine"] = "after"


def bars(title: str, rows: Sequence[Bar]) -> Html:
    """Horizontal bars from 0, each with its label above it and its value beside that."""
    longest = max((bar.value for bar in rows if _drawable(bar.value)), default=0.0)
    drawn = (_bar(number * _ROW, bar, longest) for number, bar in enumerate(rows))
    told = "; ".join(f"{bar.label}: {bar.told}" for bar in rows)
    return _svg(title, told, max(_ROW * len(rows), 1), drawn)


def axis(histograms: Iterable[Histogram]) -> tuple[float, ...]:
    """The edges of bins that several histograms are drawn in, so that they can be compared; none if all are empty."""
    known = list(histograms)
    edges = sorted({edge for histogram in known for edge in histogram.edges})
    used = [
        edges.index(histogram.edges[number])
        for histogram in known
        for number, counted in enumerate(histogram.counts)
        if counted
    ]
    if not used:
        return ()
    first, last = min(used), max(used) + 1
    first = max(0, min(first, last - _FEWEST_BINS))
    return tuple(edges[first : max(last, min(first + _FEWEST_BINS, len(edges) - 1)) + 1])


def histogram(label: str, output: OutputDifference, edges: Sequence[float]) -> Html:
    """The share of an output's elements whose absolute error lies in each bin.

    Args:
        label: what was compared with the original.
        output: the output's difference.
        edges: of the bins, from `axis`.
    """
    title = f"Absolute errors of output {output.name}, {label}"
    total = sum(output.histogram.counts)
    if not total or len(edges) < 2:
        return element("p", "No elements were compared.", class_="quiet")
    counts = dict(zip(output.histogram.edges, output.histogram.counts, strict=False))
    shares = [counts.get(edge, 0) / total for edge in edges[:-1]]
    top = next(limit for limit in (0.1, 0.25, 0.5, 1.0) if limit >= max(shares) or limit == 1.0)
    width = (WIDTH - _LEFT - _RIGHT) / len(shares)
    drawn = [_grid(level, level / top) for level in (0.0, top / 2, top)]
    told = []
    for number, part in enumerate(shares):
        if not part:
            continue
        words = f"{power(edges[number])} to {power(edges[number + 1])}: {share(part)}"
        told.append(words)
        height = max(_PLOT * part / top, 1.5)
        drawn.append(
            element(
                "rect",
                element("title", f"{words} ({counts[edges[number]]} of {total})"),
                x=_px(_LEFT + number * width + min(1, width / 8)),
                y=_px(_TOP + _PLOT - height),
                width=_px(width - 2 * min(1, width / 8)),
                height=_px(height),
                rx=min(2, round(width / 4, 1)),
                class_="bar after",
            )
        )
    step = math.ceil(len(edges) / _TICKS)
    drawn += [_tick(_LEFT + number * width, edges[number]) for number in range(0, len(edges), step)]
    return _svg(title, "; ".join(told), _TOP + _PLOT + 22, drawn)


def power(edge: float) -> str:
    """A bin's edge, as a power of ten where it is one."""
    if edge <= 0 or not math.isfinite(edge):
        return figure(edge)
    exponent = round(math.log10(edge))
    if float(f"1e{exponent}") != edge:
        return f"{edge:.2g}"
    return {0: "1", 1: "10"}.get(exponent, f"10{str(exponent).translate(_SUPERSCRIPT)}")


def _bar(y: float, bar: Bar, longest: float) -> Html:
    length = max(WIDTH * bar.value / longest, 2) if longest and _drawable(bar.value) else 0
    label = bar.label if len(bar.label) <= _LONGEST_LABEL else f"{bar.label[: _LONGEST_LABEL - 1]}…"
    return element(
        "g",
        element("title", f"{bar.label}: {bar.told}"),
        element("text", label, x=0, y=y + 13),
        element("text", bar.told, x=WIDTH, y=y + 13, text_anchor="end", class_="value"),
        element("rect", x=0, y=y + 19, width=WIDTH, height=9, rx=3, class_="track"),
        element("rect", x=0, y=y + 19, width=_px(length), height=9, rx=3, class_=f"bar {bar.kind}"),
    )


def _grid(level: float, height: float) -> Html:
    y = _TOP + _PLOT * (1 - height)
    line = element("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=_px(y), y2=_px(y), class_="grid")
    text = element("text", f"{100 * level:g} %", x=_LEFT - 5, y=_px(y + 3.5), text_anchor="end", class_="tick")
    return Html(line + text)


def _tick(x: float, edge: float) -> Html:
    bottom = _TOP + _PLOT
    line = element("line", x1=_px(x), x2=_px(x), y1=bottom, y2=bottom + 4, class_="grid")
    return Html(line + element("text", power(edge), x=_px(x), y=bottom + 16, text_anchor="middle", class_="tick"))


def _svg(title: str, description: str, height: float, drawn: Iterable[Html]) -> Html:
    return element(
        "svg",
        element("title", title),
        element("desc", description),
        *drawn,
        viewBox=f"0 0 {WIDTH} {height}",
        role="img",
        aria_label=f"{title}. {description}",
    )


def _drawable(value: float) -> bool:
    return math.isfinite(value) and value >= 0


def _px(value: float) -> str:
    return f"{value:.1f}"
