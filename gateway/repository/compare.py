"""How far two answers of a model are apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gateway.repository.datatypes import BF16

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """Between an array and the one that is expected.

    Attributes:
        largest: of all elements; 0 for texts and numbers that are equal, and infinite where one of them is no number.
        wrong: how many elements are farther off than tolerated.
        where: the index of the worst of these; empty if none is wrong.
        found, expected: the two elements there, as text.
    """

    largest: float = 0.0
    wrong: int = 0
    where: tuple[int, ...] = ()
    found: str = ""
    expected: str = ""


def difference(found: Array, expected: Array, tolerance: float) -> Difference:
    """Compare two arrays of the same shape.

    Args:
        found: the array.
        expected: the one that it should be.
        tolerance: how far elements may be apart, absolute and relative to the expected one; not for texts.
    """
    if found.size == 0:
        return Difference()
    if object in (found.dtype, expected.dtype):
        apart = np.array([_text(a) != _text(b) for a, b in zip(found.flat, expected.flat, strict=True)], dtype=float)
        allowed = np.zeros(found.size)
    else:
        given, wanted = (np.asarray(each).reshape(-1).astype(_wide(each)) for each in (found, expected))
        with np.errstate(all="ignore"):
            apart = np.abs(given - wanted).astype(float)
            relative = 0.0 if expected.dtype.kind in "biu" else tolerance  # off by one is off, however large the number
            allowed = tolerance + relative * np.abs(wanted).astype(float)
        same = (given == wanted) | (np.isnan(given) & np.isnan(wanted))
        apart = np.where(same, 0.0, np.where(np.isnan(apart), np.inf, apart))
        allowed = np.where(np.isfinite(allowed), allowed, 0.0)
    wrong = apart > allowed
    if not wrong.any():
        return Difference(float(apart.max()))
    worst = int(np.argmax(np.where(wrong, apart, -1.0)))
    where = tuple(int(each) for each in np.unravel_index(worst, found.shape))
    return Difference(
        float(apart.max()),
        int(wrong.sum()),
        where,
        _shown(found.reshape(-1)[worst]),
        _shown(expected.reshape(-1)[worst]),
    )


def numbers(array: Array, datatype: str) -> Array:
    """An array to count with: the bits of BF16 as the numbers that they are."""
    if datatype != BF16:
        return array
    return (array.astype(np.uint32) << 16).view(np.float32)


def not_finite(array: Array) -> int:
    """How many elements are NaN or infinite."""
    return int((~np.isfinite(array)).sum()) if array.dtype.kind in "fc" else 0


def _wide(array: Array) -> type[Any]:
    return np.complex128 if array.dtype.kind == "c" else np.longdouble


def _text(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _shown(value: object) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
