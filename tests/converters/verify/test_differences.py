from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from converters.arrays import Array
from converters.verify.base import OutputDifference
from converters.verify.differences import Accumulator, Mismatch, batch_size, magnitude


def compared(original: Array, result: Array, samples: int | None = None) -> OutputDifference:
    accumulator = Accumulator("y", magnitude([original]))
    accumulator.add(original, result, samples if samples is not None else len(original))
    assert accumulator.mismatch() is None
    return accumulator.difference()


def test_each_measure_by_hand() -> None:
    original = np.array([[1.0, -2.0], [4.0, 1.0]], np.float32)  # mean absolute value 2
    result = np.array([[1.5, -2.0], [4.0, 0.0]], np.float32)
    difference = compared(original, result)
    assert difference.name == "y"
    assert difference.max_abs == 1.0
    assert difference.mean_abs == 1.5 / 4
    # 0.5 and 1 by 2, the output's mean, which is larger than 1 in both places.
    assert difference.max_rel == 0.5
    assert difference.mean_rel == (0.25 + 0.5) / 4
    first = (1.5 + 4) / math.sqrt(5 * 6.25)
    second = 16 / math.sqrt(17 * 16)
    assert difference.cosine == pytest.approx(min(first, second), abs=1e-12)
    assert difference.top1 == 1.0
    assert difference.top5 is None
    assert difference.bad == 0
    assert difference.histogram.counts[0] == 2
    assert dict(zip(difference.histogram.edges, difference.histogram.counts, strict=False))[0.1] == 1
    assert dict(zip(difference.histogram.edges, difference.histogram.counts, strict=False))[1.0] == 1


def test_relative_error_is_that_of_the_value_where_it_is_the_larger() -> None:
    difference = compared(np.array([[10.0, 0.0]]), np.array([[11.0, 1.0]]))
    assert difference.max_rel == pytest.approx(1 / 5)  # at the 0: by the mean; at the 10: 1 by 10
    assert difference.mean_rel == pytest.approx((1 / 10 + 1 / 5) / 2)


def test_original_of_zeros_counts_a_difference_as_its_whole() -> None:
    difference = compared(np.zeros((1, 2)), np.array([[0.0, 1e-3]]))
    assert (difference.max_rel, difference.mean_rel, difference.cosine) == (1.0, 0.5, 0.0)


def test_histogram_bins_are_powers_of_ten() -> None:
    errors = np.array([[0.0, 5e-10, 1e-9, 1e-3, 9.99e-3, 0.5, 1.0, 250.0]])
    histogram = compared(np.zeros((1, 8)), errors).histogram
    assert histogram.edges == (0.0, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0, 1000.0)
    assert histogram.counts == (2, 1, 0, 0, 0, 0, 0, 2, 0, 1, 1, 0, 1)


def test_equal_outputs_have_ten_bins_that_all_outputs_share() -> None:
    histogram = compared(np.ones((1, 3)), np.ones((1, 3))).histogram
    assert len(histogram.counts) == 10
    assert histogram.edges[-1] == 1.0
    assert histogram.counts[0] == 3


def test_zero_vectors() -> None:
    assert compared(np.zeros((2, 3)), np.zeros((2, 3))).cosine == 1.0
    assert compared(np.ones((2, 3)), np.zeros((2, 3))).cosine == 0.0


def test_cosine_of_huge_and_tiny_vectors() -> None:
    for scale in (1e300, 1e-300):
        assert compared(np.array([[3.0, 4.0]]) * scale, np.array([[4.0, 3.0]]) * scale).cosine == pytest.approx(0.96)


def test_samples_of_one_number_are_one_vector() -> None:
    # Each for itself would be -1: the sign of almost nothing.
    original, result = np.array([[1.0], [1e-9], [2.0]]), np.array([[1.0], [-1e-9], [2.0]])
    assert compared(original, result).cosine == pytest.approx(1.0)
    assert compared(np.array([1.0, 0.0]), np.array([0.0, 1.0])).cosine == 0.0
    assert compared(np.array([0.0, 0.0]), np.array([0.0, 0.0])).cosine == 1.0


def test_best_classes() -> None:
    original = np.array([[9, 8, 7, 6, 5, 4, 3.0], [1, 2, 3, 4, 5, 6, 7], [7, 1, 1, 1, 1, 1, 1], [0, 1, 0, 0, 0, 0, 0]])
    result = original.copy()
    result[0, :2] = 8, 9  # another best one, of the same five
    result[1, 0] = 6.5  # the same best one, of another five
    difference = compared(original, result)
    assert (difference.top1, difference.top5) == (0.75, 0.75)


def test_constant_result_does_not_agree_with_every_class() -> None:
    assert compared(np.eye(4), np.full((4, 4), 0.25)).top1 == 0.25


def test_classes_at_every_position() -> None:
    original = np.arange(24.0).reshape(2, 3, 4)
    result = original.copy()
    result[1, 2] = 0
    assert compared(original, result).top1 == 5 / 6


def test_few_or_no_classes() -> None:
    assert compared(np.ones((2, 1)), np.ones((2, 1))).top1 is None
    assert compared(np.ones(4), np.ones(4)).top1 is None
    assert compared(np.ones((2, 5)), np.ones((2, 5))).top5 is None
    # Without a batch, the only dimension is that of the classes.
    assert compared(np.arange(6.0), np.arange(6.0), samples=1).top5 == 1.0


def test_many_rows_of_many_classes_are_ranked_in_pieces() -> None:
    rows = np.random.default_rng(0).normal(size=(300, 5000)).astype(np.float32)
    other = rows.copy()
    other[7] = -other[7]
    assert compared(rows, other).top5 == 299 / 300


def test_nan_and_infinity() -> None:
    original = np.array([[1.0, np.nan, np.inf, -np.inf, 3.0, np.nan, np.inf]])
    result = np.array([[np.nan, np.nan, np.inf, -np.inf, np.inf, 4.0, -np.inf]])
    difference = compared(original, result)
    assert difference.bad == 3  # the number that became NaN, the one that became infinite, the infinity that turned
    assert difference.max_abs == 0.0
    assert difference.top1 == 0.0
    assert all(math.isfinite(value) for value in (difference.mean_abs, difference.max_rel, difference.cosine))


@pytest.mark.parametrize("kind", [np.float16, ml_dtypes.bfloat16])
def test_low_precision_results(kind: type) -> None:
    difference = compared(np.array([[1.0, 70000.0]], np.float32), np.array([[1.0, 2.0]]).astype(kind))
    assert difference.max_abs == 69998.0
    assert difference.bad == 0
    with np.errstate(over="ignore"):
        overflown = np.array([[1.0, 70000.0]], np.float32).astype(np.float16)
    assert compared(np.array([[1.0, 70000.0]], np.float32), overflown).bad == 1


def test_integers_and_booleans() -> None:
    difference = compared(np.array([[1, 2], [3, 250]], np.uint8), np.array([[1, 2], [3, 251]], np.uint8))
    assert (difference.max_abs, difference.mean_abs) == (1.0, 0.25)
    large = np.array([[2**62, 1]])
    assert compared(large, large + 1).mean_abs == 1.0  # FP64 cannot tell 2**62 from its neighbour
    assert compared(np.array([[True, False]]), np.array([[True, True]])).mean_abs == 0.5


def test_integer_labels_are_classes() -> None:
    for shape in ((4,), (4, 1)):
        difference = compared(np.array([0, 3, 2, 7]).reshape(shape), np.array([0, 3, 5, 7]).reshape(shape))
        assert difference.top1 == 0.75
        assert difference.top5 is None


def test_strings_are_equal_or_not() -> None:
    original = np.array([["a", "b"], ["c", "d"]], object)
    difference = compared(original, np.array([[b"a", b"b"], [b"c", b"x"]], object))
    assert (difference.max_abs, difference.mean_abs, difference.mean_rel) == (1.0, 0.25, 0.25)
    assert (difference.cosine, difference.top1) == (0.5, 0.5)
    labels = compared(np.array(["a", "b", "c"]), np.array(["a", "b", "x"]))
    assert labels.cosine == pytest.approx(2 / 3)
    assert labels.top1 == pytest.approx(2 / 3)


def test_empty_outputs_differ_in_nothing() -> None:
    for shape in ((0, 7), (2, 0), (0,), (2, 0, 7)):
        difference = compared(np.zeros(shape), np.zeros(shape), samples=2)
        assert (difference.max_abs, difference.cosine, difference.top1, difference.bad) == (0.0, 1.0, None, 0)
    assert Accumulator("y", 0.0).difference().mean_rel == 0.0


def test_scalar_outputs() -> None:
    assert compared(np.array(2.0), np.array(3.0), samples=4).max_rel == 0.5


def test_other_shapes_and_kinds_are_a_mismatch() -> None:
    accumulator = Accumulator("boxes", 1.0)
    accumulator.add(np.ones((5, 7), np.float32), np.ones((3, 7), np.float32), 1)
    accumulator.add(np.ones((2, 7), np.float32), np.ones((1, 7), np.float32), 1)
    accumulator.add(np.ones((2, 7), np.float32), np.ones((2, 7), np.float32), 1)
    assert accumulator.mismatch() == Mismatch("boxes", 2, "FP32 [3, 7] instead of FP32 [5, 7]")
    assert accumulator.difference().max_abs == 0.0
    accumulator = Accumulator("label", 1.0)
    accumulator.add(np.array(["a"]), np.array([1]), 1)
    assert accumulator.mismatch() == Mismatch("label", 1, "INT64 [1] instead of BYTES [1]")


def test_dimension_of_one_more_or_less_is_no_mismatch() -> None:
    assert compared(np.array([1, 2, 3]), np.array([[1], [2], [3]])).top1 == 1.0


def test_batch_size_is_what_inputs_agree_on() -> None:
    assert batch_size({"x": np.zeros((4, 2)), "y": np.zeros(4), "rate": np.array(16000)}) == 4
    assert batch_size({"x": np.zeros((1, 512)), "state": np.zeros((2, 1, 128))}) == 1
    assert batch_size({}) == 1


def test_magnitude_leaves_out_what_is_no_number() -> None:
    assert magnitude([np.array([1.0, -3.0, np.nan]), np.array([np.inf])]) == 2.0
    assert magnitude([np.array(["a"], object), np.zeros(0)]) == 0.0
    assert magnitude([np.array([60000, 60000], np.float16)]) == 60000


FINITE = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 6), st.integers(1, 8)), elements=st.floats(-1e3, 1e3, width=32)
)
NUMBERS = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.integers(1, 8)),
    elements=st.floats(-1e3, 1e3, width=32) | st.sampled_from((math.nan, math.inf, -math.inf)),
)


@settings(deadline=None, max_examples=60)
@given(original=NUMBERS, data=st.data())
def test_batches_add_up_to_the_whole(original: Array, data: st.DataObject) -> None:
    result = data.draw(hnp.arrays(np.float32, original.shape, elements=st.floats(-1e3, 1e3, width=32)))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(original)), max_size=3)))
    scale = magnitude([original])
    parts = Accumulator("y", scale)
    for first, second in zip(np.split(original, cuts), np.split(result, cuts), strict=True):
        parts.add(first, second, len(first))
    whole = Accumulator("y", scale)
    whole.add(original, result, len(original))
    first_told, second_told = parts.difference(), whole.difference()
    for measure in ("bad", "histogram", "top1", "top5", "max_abs", "max_rel"):
        assert getattr(first_told, measure) == getattr(second_told, measure)
    for measure in ("mean_abs", "mean_rel", "cosine"):
        assert getattr(first_told, measure) == pytest.approx(getattr(second_told, measure), rel=1e-9, abs=1e-12)


@settings(deadline=None, max_examples=40)
@given(original=FINITE, data=st.data())
def test_measures_are_numpys(original: Array, data: st.DataObject) -> None:
    result = data.draw(hnp.arrays(np.float32, original.shape, elements=st.floats(-1e3, 1e3, width=32)))
    difference = compared(original, result)
    first, second = original.astype(np.float64), result.astype(np.float64)
    errors = np.abs(first - second)
    assert difference.max_abs == errors.max()
    assert difference.mean_abs == pytest.approx(errors.mean())
    assert sum(difference.histogram.counts) == errors.size
    bases = np.maximum(np.abs(first), np.abs(first).mean())
    if np.all(bases > 0):
        assert difference.max_rel == pytest.approx((errors / bases).max())
        assert difference.mean_rel == pytest.approx((errors / bases).mean())
    if original.shape[1] > 1:
        assert difference.top1 == np.mean(first.argmax(1) == second.argmax(1))
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    if original.shape[1] > 1 and np.all(norms > 1e-6):
        assert difference.cosine == pytest.approx(((first * second).sum(1) / norms).min(), abs=1e-9)
