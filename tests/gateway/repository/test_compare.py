"""How far arrays are apart."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.repository.compare import Array, difference, not_finite, numbers

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (np.array([1.0, NAN, INF], np.float32), np.array([1.0, NAN, INF], np.float32)),
        (np.array([1.00001, 20000.5]), np.array([1.0, 20000.0])),
        (np.array([2**63 - 1]), np.array([2**63 - 1])),
        (np.array([b"a", "b"], object), np.array(["a", b"b"], object)),
        (np.zeros((0, 3)), np.zeros((0, 3))),
        (np.array([True]), np.array([True])),
    ],
)
def test_what_is_the_same_within_the_tolerance_is_not_wrong(found: Array, expected: Array) -> None:
    assert difference(found, expected, 1e-4).wrong == 0


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (np.array([1.0, NAN]), np.array([1.0, 2.0])),
        (np.array([1.0, INF]), np.array([1.0, -INF])),
        (np.array([1.0, 2.1]), np.array([1.0, 2.0])),
        (np.array([1, 2**62]), np.array([1, 2**62 + 1])),
        (np.array([b"a", b"b"], object), np.array([b"a", b"c"], object)),
        (np.array([True, False]), np.array([True, True])),
    ],
)
def test_the_worst_of_what_differs_is_shown(found: Array, expected: Array) -> None:
    apart = difference(found, expected, 1e-4)
    assert apart.wrong == 1
    assert apart.where == (1,)
    assert apart.found != apart.expected


def test_the_bits_of_bfloat16_are_numbers() -> None:
    assert numbers(np.array([[0x3F80, 0x4000]], np.uint16), "BF16").tolist() == [[1.0, 2.0]]


def test_what_is_not_finite_is_counted() -> None:
    assert not_finite(np.array([1.0, NAN, INF])) == 2
    assert not_finite(np.array([1])) == 0
    assert not_finite(np.array([b"text"], object)) == 0
