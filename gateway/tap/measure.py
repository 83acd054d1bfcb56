"""How far two arrays are apart; pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gateway.tap.datatypes import Array

_CHUNK = 65536  # elements at once: they fit into a processor's cache as float64


@dataclass(frozen=True, slots=True)
class Distance:
    """How far an array of numbers is from the expected one.

    Attributes:
        max_error: largest absolute error; infinite where one of two elements is not a number or infinite.
        mean_error: mean of the finite errors.
        cosine: similarity of the arrays as vectors, by the elements that are finite in both.
        mismatched: elements whose error is above what is allowed.
    """

    max_error: float
    mean_error: float
    cosine: float
    mismatched: int


class _Sums(NamedTuple):
    largest: float
    total: float
    finite: int
    mismatched: int
    product: float
    squares: tuple[float, float]


SAME = Distance(0.0, 0.0, 1.0, 0)


def distance(expected: Array, got: Array, absolute: float, relative: float) -> Distance:
    """How far two arrays of numbers are apart. Equal infinities, and two that are not numbers, are no error.

    Args:
        expected: of any shape, with numbers or truth values.
        got: of the same shape.
        absolute: error that is allowed in any case.
        relative: error that is allowed as a share of the expected value.
    """
    first, second = expected.reshape(-1), got.reshape(-1)
    if identical(first, second):
        return SAME
    parts = [
        _sums(first[start : start + _CHUNK], second[start : start + _CHUNK], absolute, relative)
        for start in range(0, first.size, _CHUNK)
    ]
    finite = sum(part.finite for part in parts)
    norms = [math.sqrt(sum(part.squares[side] for part in parts)) for side in (0, 1)]
    return Distance(
        max_error=max(part.largest for part in parts),
        mean_error=sum(part.total for part in parts) / finite if finite else 0.0,
        cosine=_cosine(sum(part.product for part in parts), norms[0], norms[1]),
        mismatched=sum(part.mismatched for part in parts),
    )


def identical(expected: Array, got: Array) -> bool:
    """Whether two flat arrays of numbers have the same bits, which is quickly told."""
    if expected.dtype != got.dtype or not (expected.flags.c_contiguous and got.flags.c_contiguous):
        return False
    return bool(np.array_equal(expected.view(np.uint8), got.view(np.uint8)))


def unequal(expected: Array, got: Array) -> int:
    """How many elements of two arrays of the same shape differ; two that are not numbers are equal."""
    different = expected != got
    if expected.dtype.kind == "f":
        different &= ~(np.isnan(expected) & np.isnan(got))
    return int(np.count_nonzero(different))


def top1(expected: Array, got: Array) -> float:
    """The share of rows, along the last axis, whose largest element stands where (one of) the expected largest does.

    Args:
        expected: of any shape but a scalar's, with at least one element.
        got: of the same shape.
    """
    wanted = expected.reshape(-1, expected.shape[-1])
    places = np.argmax(got.reshape(wanted.shape), axis=1)
    rows = np.arange(len(places))
    agree = wanted[rows, places] == wanted.max(axis=1)
    agree |= places == np.argmax(wanted, axis=1)  # a row that has what is not a number has its top there
    return float(np.count_nonzero(agree) / agree.size)


def _sums(expected: Array, got: Array, absolute: float, relative: float) -> _Sums:
    with np.errstate(invalid="ignore", over="ignore"):  # infinities are dealt with below
        first, second = expected.astype(np.float64), got.astype(np.float64)
        error = np.abs(second - first)
        finite = np.isfinite(error)
        if not finite.all():
            same = (first == second) | (np.isnan(first) & np.isnan(second))
            error[~finite & ~same] = np.inf
            error[~finite & same] = 0.0
            both = np.isfinite(first) & np.isfinite(second)
            mismatched = int(np.count_nonzero(~same & (~both | (error > absolute + relative * np.abs(first)))))
            first, second = first[both], second[both]
        else:
            mismatched = int(np.count_nonzero(error > absolute + relative * np.abs(first)))
        counted = error[np.isfinite(error)]
        squares = float(np.dot(first, first)), float(np.dot(second, second))
        product = float(np.dot(first, second))
    return _Sums(float(error.max()), float(counted.sum()), counted.size, mismatched, product, squares)


def _cosine(product: float, first: float, second: float) -> float:
    if not first and not second:
        return 1.0
    if not first or not second:
        return 0.0
    similarity = product / first / second
    return max(-1.0, min(1.0, similarity)) if math.isfinite(similarity) else 0.0
