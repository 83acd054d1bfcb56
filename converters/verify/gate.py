"""What a result must reach before it is published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Limits for one output; None is not looked at.

    Attributes:
        max_abs, mean_abs, max_rel, mean_rel: at most this; see `OutputDifference`.
        cosine, top1, top5: at least this.
    """

    max_abs: float | None = None
    mean_abs: float | None = None
    max_rel: float | None = None
    mean_rel: float | None = None
    cosine: float | None = None
    top1: float | None = None
    top5: float | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """A user's own measure.

    Attributes:
        function: `module:function` or `path/to/file.py:function`, called with (original, result, inputs), each a list
            with one mapping of arrays by name for each batch; gives one number.
        at_least, at_most: its limits; None is not looked at.
    """

    function: str
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    """All limits for one result. NaN or infinity where the original has a number always fails.

    Attributes:
        every: for each output that has no limits of its own.
        outputs: by an output's name, instead of `every`.
        metrics: users' own.
    """

    every: Thresholds = Thresholds()
    outputs: Mapping[str, Thresholds] = field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()
