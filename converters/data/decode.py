"""Tensors of the Open Inference Protocol, as they travel, to arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from converters.arrays import Array, numpy_type
from converters.errors import BadData

_LENGTH = 4  # bytes before each element of BYTES, little-endian
_HINT = "leave this request out, and check what recorded it"


def from_bytes(content: bytes, datatype: str, shape: Sequence[int], where: str) -> Array:
    """A tensor that travelled in binary.

    Args:
        content: row by row, little-endian; elements of BYTES with their length before each.
        datatype: as the protocol names it.
        shape: all its dimensions.
        where: the tensor and its request, for errors.

    Raises:
        BadData: the datatype is unknown, or the content is longer or shorter than the shape says.
    """
    size = _size(shape, where)
    if datatype == "BYTES":
        elements = _elements(content, where)
        if len(elements) != size:
            raise BadData(f"{where} has {len(elements)} elements, and its shape says {list(shape)}", hint=_HINT)
        return np.array(elements, object).reshape(shape)
    dtype = _dtype(datatype, where)
    if len(content) != size * dtype.itemsize:
        raise BadData(
            f"{where} has {len(content)} bytes, and {datatype} {list(shape)} needs {size * dtype.itemsize}", hint=_HINT
        )
    return np.frombuffer(content, dtype).reshape(shape)


def _elements(content: bytes, where: str) -> list[bytes]:
    result, position = [], 0
    while position < len(content):
        start = position + _LENGTH
        position = start + int.from_bytes(content[position:start], "little")
        if start > len(content) or position > len(content):
            raise BadData(f"{where} ends inside an element", hint=_HINT)
        result.append(content[start:position])
    return result


def _dtype(datatype: str, where: str) -> np.dtype[Any]:
    try:
        return numpy_type(datatype)
    except KeyError:
        raise BadData(f"{where} has the unknown datatype '{datatype}'", hint=_HINT) from None


def _size(shape: Sequence[int], where: str) -> int:
    if any(isinstance(size, bool) or not isinstance(size, int) or size < 0 for size in shape):
        raise BadData(f"{where} has the impossible shape {list(shape)}", hint=_HINT)
    return math.prod(shape)
