import numpy as np
import pytest

from converters.precision.low import BF16, FP16, LOW_FLOATS, LowFloat


@pytest.mark.parametrize("low", LOW_FLOATS, ids=lambda low: low.name)
def test_ordinary_weights_may_be_rounded(low: LowFloat) -> None:
    weights = np.random.default_rng(0).normal(0, 0.05, 1000).astype(np.float32)
    assert low.complaint(weights) == ""
    assert np.allclose(low.rounded(weights).astype(np.float32), weights, rtol=2**-8, atol=1e-7)


@pytest.mark.parametrize("low", LOW_FLOATS, ids=lambda low: low.name)
def test_what_stands_for_infinity_stays_finite(low: LowFloat) -> None:
    mask = np.array([0.0, np.finfo(np.float32).min, -np.inf], np.float32)
    assert low.complaint(mask) == ""
    assert low.rounded(mask).astype(np.float64).tolist() == [0.0, -low.largest, -np.inf]


def test_numbers_beyond_the_range_are_told() -> None:
    weights = np.array([1.0, 70000.0], np.float32)
    assert FP16.complaint(weights) == "holds 7e+04, and 65504 is the largest FP16"
    assert BF16.complaint(weights) == ""


def test_an_epsilon_that_would_vanish_is_told() -> None:
    assert FP16.complaint(np.array(1e-12, np.float32)) == "is too small for FP16: rounding changes it by 1e+02%"
    assert FP16.complaint(np.array(1e-7, np.float32)) == "is too small for FP16: rounding changes it by 19%"
    assert FP16.complaint(np.array(1e-5, np.float32)) == ""
    assert BF16.complaint(np.array(1e-12, np.float32)) == ""


def test_small_weights_among_large_ones_may_vanish() -> None:
    assert FP16.complaint(np.array([1.0, 1e-12], np.float32)) == ""


def test_zeros_and_nothing_at_all_are_fine() -> None:
    assert FP16.complaint(np.zeros(3, np.float32)) == ""
    assert FP16.complaint(np.zeros(0, np.float32)) == ""
