"""What a gate says of figures: pure decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields

from converters.errors import ConfigError
from converters.nearest import nearest
from converters.precision.base import Precision
from converters.verify.base import Failure, OutputDifference
from converters.verify.differences import Mismatch
from converters.verify.gate import Gate, Metric, Thresholds

DEFAULT_THRESHOLDS: Mapping[Precision, Thresholds] = {
    "fp32": Thresholds(mean_rel=1e-4, max_rel=1e-2, cosine=0.9999),
    "fp16": Thresholds(mean_rel=1e-2, cosine=0.999),
    "bf16": Thresholds(mean_rel=5e-2, cosine=0.995),
    "int8": Thresholds(mean_rel=2e-1, cosine=0.98),
    "fp8": Thresholds(mean_rel=2e-1, cosine=0.98),
}
"""For every output where the configuration gives no gate. Relative, so that they fit outputs of every size: what the
number formats themselves cost (FP16 has 11 significant bits, BF16 8, INT8 at most 8 for a tensor's whole range), summed
over the layers of a network, with room. A gate of one's own, on real data, is always better."""

_AT_LEAST = ("cosine", "top1", "top5")


def default_gate(precision: Precision) -> Gate:
    """The gate where the configuration gives none."""
    return Gate(every=DEFAULT_THRESHOLDS[precision])


def check_names(gate: Gate, names: Sequence[str]) -> None:
    """That the gate speaks of the model's own outputs.

    Raises:
        ConfigError: it names an output that is not there; says which one may be meant.
    """
    for name in gate.outputs:
        if name not in names:
            hint = nearest(name, names, f"the model has {', '.join(sorted(names)) or 'none'}")
            raise ConfigError(f"the gate names output '{name}', which the model does not have", hint=hint)


def judge(
    differences: Sequence[OutputDifference],
    metrics: Mapping[str, float],
    gate: Gate,
    mismatches: Sequence[Mismatch] = (),
) -> tuple[Failure, ...]:
    """The thresholds that are not met, those of the worst output first.

    Args:
        differences: of all outputs.
        metrics: what each user's metric measured, by its function.
        gate: the limits.
        mismatches: outputs that could not be compared in some batches. They fail, unless the gate gives the output
            limits of its own that are all empty: then a metric of the user's own must judge it.

    Raises:
        ConfigError: the gate names an output that is not there, or wants a best class of one that has no classes.
    """
    check_names(gate, [difference.name for difference in differences])
    shapes = {mismatch.output: mismatch for mismatch in mismatches}
    ordered = sorted(differences, key=lambda difference: (difference.bad > 0, difference.mean_rel), reverse=True)
    failures = [
        failure for difference in ordered for failure in _failures(difference, gate, shapes.get(difference.name))
    ]
    return (*failures, *(failure for metric in gate.metrics for failure in _own(metric, metrics[metric.function])))


def _failures(difference: OutputDifference, gate: Gate, mismatch: Mismatch | None) -> list[Failure]:
    own = gate.outputs.get(difference.name)
    thresholds = gate.every if own is None else own
    failures = []
    if mismatch is not None and own != Thresholds():
        measure = f"the number of batches of another shape ({mismatch.example})"
        failures.append(Failure(difference.name, measure, mismatch.batches, 0))
    if difference.bad:
        failures.append(Failure(difference.name, "nan", difference.bad, 0))
    for threshold in fields(thresholds):
        limit: float | None = getattr(thresholds, threshold.name)
        value: float | None = getattr(difference, threshold.name)
        if limit is None:
            continue
        if value is None:
            if own is None:
                continue  # limits for every output are for those that have classes
            raise ConfigError(
                f"output '{difference.name}' has no classes for '{threshold.name}' to count",
                hint=f"leave '{threshold.name}' out for it",
            )
        if not (value >= limit if threshold.name in _AT_LEAST else value <= limit):
            failures.append(Failure(difference.name, threshold.name, value, limit))
    return failures


def _own(metric: Metric, value: float) -> list[Failure]:
    # Written so that NaN meets no limit.
    failures = []
    if metric.at_least is not None and not value >= metric.at_least:
        failures.append(Failure("", metric.function, value, metric.at_least))
    if metric.at_most is not None and not value <= metric.at_most:
        failures.append(Failure("", metric.function, value, metric.at_most))
    return failures
