from __future__ import annotations

from dataclasses import replace

import pytest

from converters.errors import GATE_FAILED
from converters.precision.base import Precision
from converters.verify.base import Failure, Histogram, LayerDifference, OutputDifference, Verdict
from converters.verify.explain import gate_failed

OUTPUT = OutputDifference("y", 0.5, 0.1, 0.2, 0.25, 0.7, None, None, 0, Histogram((0.0, 1.0), (1,)))
FAILED = Verdict(
    False, 2, 8, "a", "b", (OUTPUT,),
    failures=(Failure("y", "cosine", 0.7, 0.98),),
    worst_layer=LayerDifference("conv_3", "Conv", "t3", 2.07, 2.0),
)  # fmt: skip


def test_says_which_output_which_layer_and_the_way_out() -> None:
    error = gate_failed(FAILED, "int8")
    assert error.exit_code == GATE_FAILED
    assert str(error) == (
        "gate int8, node conv_3 (Conv): it is not as good as the original: output 'y': cosine is 0.7, and 0.98 is the "
        "limit; the worst output is 'y' (mean relative error 0.25, cosine 0.700000); the loss begins at node 'conv_3' "
        "(Conv), where the mean relative error is 2.07; give more, or more typical, calibration data, calibrate by "
        "another method, or keep node 'conv_3' in FP32"
    )


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16", "int8", "fp8"])
def test_way_out_without_a_layer(precision: Precision) -> None:
    error = gate_failed(replace(FAILED, worst_layer=None), precision)
    assert error.place.step == f"gate {precision}"
    assert error.place.node == ""
    assert "{" not in error.hint


def test_many_failures_are_counted() -> None:
    many = tuple(Failure(f"y{number}", "cosine", 0.7, 0.98) for number in range(9))
    assert "output 'y3'" in gate_failed(replace(FAILED, failures=many), "fp16").what
    assert "and 5 more" in gate_failed(replace(FAILED, failures=many), "fp16").what
