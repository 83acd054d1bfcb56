"""Where things stand on a chart, and what the drawing is made of."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.tap.report.elements import Markup, tag

LEFT, RIGHT = 52, 14  # beside a plot
_BROAD = 500  # pixels above which a drawing is not made smaller than can be read
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True)
class Scale:
    """Values on a line, in pixels.

    Attributes:
        low: the value at `start`.
        high: the value at `end`; above `low`.
        start: in pixels.
        end: the same.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where a value stands."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def svg(size: tuple[float, float], title: str, told: str, drawn: Iterable[str]) -> Markup:
    """A drawing that tells what it shows to those who do not see it.

    Args:
        size: width and height in pixels.
        title: what it shows.
        told: the same figures in words.
        drawn: its elements.
    """
    box = f"0 0 {size[0]:g} {size[1]:g}"
    named = {"role": "img", "aria_label": f"{title}. {told}", "class_": "broad" if size[0] > _BROAD else None}
    return tag("svg", tag("title", title), tag("desc", told), *drawn, viewBox=box, **named)


def bar(across: tuple[float, float], down: tuple[float, float], kind: str, told: str) -> Markup:
    """A rectangle from one x to another and from one y to another, with what it stands for."""
    return tag(
        "rect",
        tag("title", told),
        x=px(across[0]),
        y=px(down[0]),
        width=px(max(across[1] - across[0], 0)),
        height=px(max(down[1] - down[0], 0)),
        class_=kind,
    )


def line(start: tuple[float, float], end: tuple[float, float], kind: str) -> Markup:
    """A straight line."""
    return tag("line", x1=px(start[0]), y1=px(start[1]), x2=px(end[0]), y2=px(end[1]), class_=kind)


def label(at: tuple[float, float], words: str, anchor: str = "middle", kind: str = "tick") -> Markup:
    """A text whose middle, start or end stands there."""
    return tag("text", words, x=px(at[0]), y=px(at[1]), text_anchor=anchor, class_=kind)


def level(y: float, width: float, words: str) -> Markup:
    """A horizontal line across a plot, with its value at the left."""
    return Markup(line((LEFT, y), (width - RIGHT, y), "grid") + label((LEFT - 6, y + 3.5), words, "end"))


def round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, ... that is not below a value above 0."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9))


def power_of_ten(exponent: int) -> str:
    """10 to an integer."""
    return {0: "1", 1: "10"}.get(exponent, f"10{str(exponent).translate(_SUPERSCRIPT)}")


def px(value: float) -> str:
    """A length; tenths of a pixel are enough."""
    return f"{value:.1f}"
