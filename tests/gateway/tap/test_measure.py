import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gateway.tap.measure import SAME, distance, identical, top1, unequal

FLOATS = hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(width=32))


@given(st.data())
def test_what_is_too_far_off_is_what_numpy_says(data: st.DataObject) -> None:
    first = data.draw(FLOATS)
    second = data.draw(hnp.arrays(np.float32, first.shape, elements=st.floats(width=32) | st.sampled_from(list(first))))
    far = distance(first, second, 0.01, 0.1)
    with np.errstate(all="ignore"):
        close = np.isclose(second.astype(float), first.astype(float), rtol=0.1, atol=0.01, equal_nan=True)
    assert far.mismatched == np.count_nonzero(~close)
    assert far.max_error >= 0
    assert math.isfinite(far.mean_error)
    assert -1 <= far.cosine <= 1


def test_known_arrays_have_known_distances() -> None:
    far = distance(np.array([[3.0, 4.0]]), np.array([[3.0, 5.0]]), 0.5, 0.1)
    assert (far.max_error, far.mean_error, far.mismatched) == (1.0, 0.5, 1)
    assert far.cosine == pytest.approx(29 / (5 * math.sqrt(34)))
    zeros, ones = np.zeros(3), np.ones(3)
    assert distance(zeros, -zeros, 0, 0).cosine == 1.0
    assert distance(zeros, ones, 0, 0).cosine == 0.0
    assert distance(ones, -ones, 0, 0).cosine == -1.0


def test_many_elements_are_measured_piece_by_piece() -> None:
    expected = np.arange(200_000, dtype=np.float32)
    got = expected.copy()
    got[[5, 150_000]] += 2.0
    far = distance(expected, got, 1.0, 0.0)
    assert (far.max_error, far.mismatched) == (2.0, 2)
    assert far.mean_error == pytest.approx(4 / 200_000)
    assert far.cosine == pytest.approx(1.0)


def test_infinities_and_what_is_no_number_agree_with_their_like() -> None:
    odd = np.array([np.nan, np.inf, -np.inf, 1.0])
    far = distance(odd, np.array([np.nan, np.inf, -np.inf, 1.5]), 1.0, 0.0)
    assert (far.max_error, far.mismatched) == (0.5, 0)
    for other in (2.0, np.inf, -np.inf):
        far = distance(np.array([np.nan, 1.0]), np.array([other, 1.0]), 1e9, 1e9)
        assert (far.max_error, far.mismatched) == (math.inf, 1)
    assert distance(np.array([np.inf]), np.array([-np.inf]), 1.0, 1.0).mismatched == 1


def test_numbers_near_the_limits_do_no_harm() -> None:
    huge = np.array([1e308, 1e308])
    far = distance(huge, -huge, 0.0, 0.0)
    assert far.max_error == math.inf
    assert -1 <= far.cosine <= 1


def test_the_same_bits_are_the_same() -> None:
    array = np.array([np.nan, 1.0], np.float32)
    assert identical(array, array.copy())
    assert distance(array, array.copy(), 0.0, 0.0) is SAME
    assert not identical(array, array.astype(np.float64))
    assert not identical(np.ones(4)[::2], np.ones(2))


def test_elements_that_are_not_equal_are_counted() -> None:
    assert unequal(np.array([1, 2, 3]), np.array([1, 0, 0])) == 2
    assert unequal(np.array([np.nan, 1.0]), np.array([np.nan, 2.0])) == 1
    assert unequal(np.array([b"a", b"b"], object), np.array([b"a", b"c"], object)) == 1
    assert unequal(np.array([], object), np.array([], object)) == 0


def test_top_classes_are_compared_row_by_row() -> None:
    expected = np.array([[0.1, 0.9], [0.8, 0.2], [0.5, 0.5], [np.nan, 1.0]])
    assert top1(expected, expected) == 1.0
    assert top1(expected, np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [np.nan, 1.0]])) == 0.75
    assert top1(expected.reshape(2, 2, 2), expected.reshape(2, 2, 2)[:, :, ::-1]) == 0.25
