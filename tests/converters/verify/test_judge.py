from __future__ import annotations

import math
from dataclasses import replace
from typing import get_args

import pytest

from converters.errors import ConfigError
from converters.precision.base import Precision
from converters.verify.base import Failure, Histogram, OutputDifference
from converters.verify.differences import Mismatch
from converters.verify.gate import Gate, Metric, Thresholds
from converters.verify.judge import DEFAULT_THRESHOLDS, default_gate, judge

GOOD = OutputDifference("scores", 0.5, 0.1, 0.2, 0.05, 0.99, 0.9, None, 0, Histogram((0.0, 1.0), (1,)))
MISMATCH = Mismatch("scores", 3, "FP32 [2] instead of FP32 [3]")


@pytest.mark.parametrize(
    ("limits", "failed"),
    [
        (Thresholds(), []),
        (Thresholds(max_abs=0.5, mean_abs=0.1, max_rel=0.2, mean_rel=0.05, cosine=0.99, top1=0.9), []),
        (Thresholds(max_abs=0.4), ["max_abs"]),
        (Thresholds(mean_abs=0.09), ["mean_abs"]),
        (Thresholds(max_rel=0.1), ["max_rel"]),
        (Thresholds(mean_rel=0.01, cosine=0.999), ["mean_rel", "cosine"]),
        (Thresholds(top1=0.95, top5=1.0), ["top1"]),  # it has no five classes
        (Thresholds(max_abs=0.0), ["max_abs"]),
    ],
)
def test_each_limit(limits: Thresholds, failed: list[str]) -> None:
    assert [failure.measure for failure in judge([GOOD], {}, Gate(every=limits))] == failed


def test_failure_has_the_figure_and_the_limit() -> None:
    assert judge([GOOD], {}, Gate(every=Thresholds(cosine=0.999))) == (Failure("scores", "cosine", 0.99, 0.999),)


def test_limits_of_an_outputs_own_take_the_place_of_the_others() -> None:
    gate = Gate(every=Thresholds(max_abs=0.0), outputs={"scores": Thresholds(cosine=0.9)})
    assert judge([GOOD], {}, gate) == ()


def test_nan_fails_without_any_limit() -> None:
    assert judge([replace(GOOD, bad=2)], {}, Gate()) == (Failure("scores", "nan", 2, 0),)
    assert judge([replace(GOOD, bad=2)], {}, Gate(outputs={"scores": Thresholds()})) != ()
    assert len(judge([replace(GOOD, cosine=math.nan)], {}, Gate(every=Thresholds(cosine=0.1)))) == 1


def test_worst_output_comes_first() -> None:
    outputs = [GOOD, replace(GOOD, name="worse", mean_rel=0.7), replace(GOOD, name="broken", bad=1, mean_rel=0.0)]
    failures = judge(outputs, {}, Gate(every=Thresholds(max_abs=0.1)))
    assert [failure.output for failure in failures] == ["broken", "broken", "worse", "scores"]


def test_other_shapes_fail_unless_the_output_is_left_to_the_users_metric() -> None:
    (failure,) = judge([GOOD], {}, Gate(), [MISMATCH])
    assert failure.measure == "the number of batches of another shape (FP32 [2] instead of FP32 [3])"
    assert (failure.output, failure.value, failure.limit) == ("scores", 3, 0)
    assert judge([GOOD], {}, Gate(outputs={"scores": Thresholds()}), [MISMATCH]) == ()
    assert len(judge([GOOD], {}, Gate(outputs={"scores": Thresholds(cosine=0.1)}), [MISMATCH])) == 1


def test_users_metrics() -> None:
    gate = Gate(metrics=(Metric("own:rank", at_least=0.9, at_most=1.1), Metric("own:cost", at_most=3)))
    assert judge([], {"own:rank": 0.9, "own:cost": 3}, gate) == ()
    assert [str(failure) for failure in judge([], {"own:rank": 0.5, "own:cost": 4}, gate)] == [
        "own:rank is 0.5, and 0.9 is the limit",
        "own:cost is 4, and 3 is the limit",
    ]
    assert len(judge([], {"own:rank": math.nan, "own:cost": 1}, gate)) == 2


def test_unknown_outputs_and_classes_that_are_not_there() -> None:
    with pytest.raises(ConfigError, match="did you mean 'scores'"):
        judge([GOOD], {}, Gate(outputs={"score": Thresholds()}))
    with pytest.raises(ConfigError, match="the model has scores"):
        judge([GOOD], {}, Gate(outputs={"zzz": Thresholds()}))
    with pytest.raises(ConfigError, match="no classes for 'top5'"):
        judge([GOOD], {}, Gate(outputs={"scores": Thresholds(top5=1.0)}))


def test_every_precision_has_a_default_and_the_lower_ones_are_not_stricter() -> None:
    assert set(DEFAULT_THRESHOLDS) == set(get_args(Precision))
    order: tuple[Precision, ...] = ("fp32", "fp16", "bf16", "int8")
    cosines = [default_gate(precision).every.cosine or 0 for precision in order]
    errors = [default_gate(precision).every.mean_rel or 0 for precision in order]
    assert cosines == sorted(cosines, reverse=True)
    assert errors == sorted(errors)
