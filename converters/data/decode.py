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


def from_list(data: Any, datatype: str, shape: Sequence[int], where: str) -> Array:
    """A tensor that travelled as a list, flat or nested.

    Raises:
        BadData: the datatype is unknown or never travels so, an element is not of it, or they are too many or too few.
    """
    size = _size(shape, where)
    if datatype in {"FP16", "BF16"}:
        raise BadData(f"{where} is {datatype}, which travels in binary only", hint=_HINT)
    dtype = _dtype(datatype, where)
    if datatype == "BYTES":
        texts = _flat(data)
        if not all(isinstance(text, (str, bytes)) for text in texts):
            raise BadData(f"{where} is BYTES, and holds something else than strings", hint=_HINT)
        array = np.array([text.encode() if isinstance(text, str) else text for text in texts], object)
    else:
        array = _numbers(_flat(data), dtype, datatype, where)
    if array.size != size:
        raise BadData(f"{where} has {array.size} elements, and its shape says {list(shape)}", hint=_HINT)
    return array.reshape(shape)


def _numbers(values: list[Any], dtype: np.dtype[Any], datatype: str, where: str) -> Array:
    kinds = (bool, int) if dtype.kind == "b" else (int,) if dtype.kind in "iu" else (int, float)
    for value in values:
        if not isinstance(value, kinds) or (isinstance(value, bool) and dtype.kind != "b"):
            raise BadData(f"{where} is {datatype}, and holds {value!r:.40}", hint=_HINT)
    if dtype.kind in "iu" and values:
        limits = np.iinfo(dtype)
        if min(values) < limits.min or max(values) > limits.max:
            raise BadData(f"{where} holds numbers beyond {datatype}", hint=_HINT)
    return np.array(values, dtype)


def _flat(data: Any) -> list[Any]:
    """Elements in row order; not recursive, since nobody bounds the depth of what was recorded."""
    pending, result = [data], []
    while pending:
        item = pending.pop()
        if isinstance(item, (list, tuple)):
            pending.extend(reversed(item))
        else:
            result.append(item)
    return result


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
