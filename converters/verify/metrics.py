"""Users' own metrics: one number for how well the result does what the original does."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from converters.arrays import Array
from converters.errors import ConfigError, ConversionError
from converters.user_code import user_function, users_own
from converters.verify.gate import Metric

Batches = Sequence[Mapping[str, Array]]


@dataclass(frozen=True, slots=True)
class OwnMetric:
    """A user's function, found and ready to be called.

    Attributes:
        metric: what names it, with its limits.
        function: takes (original, result, inputs), each a sequence with one mapping of arrays by name for each batch.
    """

    metric: Metric
    function: Callable[..., Any] = field(repr=False)

    def __call__(self, original: Batches, result: Batches, inputs: Batches) -> float:
        """The number that it gives; NaN fails every gate.

        Raises:
            ConversionError: the function failed, told with the user's file and line, or did not give a number.
        """
        with users_own(self.metric.function):
            value = self.function(original, result, inputs)
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise ConversionError(
                f"'{self.metric.function}' gave {type(value).__name__} instead of a number",
                hint="let it return one int or float",
            ) from error


def own_metrics(metrics: Sequence[Metric], base: Path) -> tuple[OwnMetric, ...]:
    """All of a gate's metrics, loaded: what is wrong with one is told before anything is run.

    Args:
        metrics: as configured.
        base: the folder that their paths are relative to.

    Raises:
        ConfigError: a metric names nothing that can be called, has no limit or limits that nothing can meet.
        ConversionError: the user's file failed while it was loaded.
    """
    for metric in metrics:
        least = -math.inf if metric.at_least is None else metric.at_least
        most = math.inf if metric.at_most is None else metric.at_most
        if metric.at_least is None and metric.at_most is None:
            raise ConfigError(f"metric '{metric.function}' has no limit", hint="give it 'at_least' or 'at_most'")
        if not least <= most:
            raise ConfigError(
                f"no value of metric '{metric.function}' is at least {least:g} and at most {most:g}",
                hint="correct its limits",
            )
    return tuple(OwnMetric(metric, user_function(metric.function, base)) for metric in metrics)
