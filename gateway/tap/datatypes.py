"""What requests and answers hold: tensors as arrays, and as they travel, in binary or as lists."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.core.errors import GatewayError

Array = NDArray[Any]

_LENGTH = 4  # bytes before each element of BYTES, little-endian
_TYPES = {
    "BOOL": "?", "INT8": "<i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "UINT8": "<u1", "UINT16": "<u2",
    "UINT32": "<u4", "UINT64": "<u8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
_MOST_DIMENSIONS = 32  # what every numpy can hold
_MOST_ELEMENTS = 2**59  # whose bytes can still be counted in 63 bits; empty dimensions count as 1
_BINARY_ONLY = frozenset({"FP16", "BF16"})


class Undecodable(GatewayError):
    """Bytes that were to hold tensors do not; the message says where and why."""


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A named array.

    Attributes:
        name: of the input or output.
        datatype: as Triton names it: FP32, INT64, BYTES, BF16.
        shape: all its dimensions.
        data: of that shape, perhaps read-only. BYTES: objects, which are bytes; BF16: float32; BOOL: bool.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Array


@dataclass(frozen=True, slots=True, eq=False)
class DecodedRequest:
    """What a request asks for.

    Attributes:
        tensors: its inputs; of a generate request its members.
        parameters: of the request as a whole; over gRPC truth values, numbers and texts.
        outputs: names of the outputs that it wants; empty for all.
        classification: of how many classes it asks, by output.
        generate: whether it is a generate request.
    """

    tensors: tuple[Tensor, ...]
    parameters: Mapping[str, object]
    outputs: tuple[str, ...]
    classification: Mapping[str, int] = field(default_factory=dict)
    generate: bool = False


def from_bytes(content: bytes | memoryview, datatype: str, shape: Sequence[int], where: str) -> Array:
    """A tensor that travelled in binary; not copied unless it is BYTES or BF16.

    Args:
        content: row by row, little-endian; elements of BYTES with their length before each.
        datatype: as Triton names it.
        shape: all its dimensions.
        where: the tensor and what it is part of, for errors.

    Raises:
        Undecodable: the datatype is unknown, or the content is longer or shorter than the shape says.
    """
    size = _size(shape, where)
    if datatype == "BYTES":
        return _objects(_elements(content, where), shape, size, where)
    dtype = np.dtype("<u2") if datatype == "BF16" else _dtype(datatype, where)
    if len(content) != size * dtype.itemsize:
        raise Undecodable(f"{where} has {len(content)} bytes; {datatype} {list(shape)} needs {size * dtype.itemsize}")
    array: Array = np.frombuffer(content, dtype)
    if datatype == "BF16":
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return array.reshape(shape)


def from_list(data: Any, datatype: str, shape: Sequence[int], where: str) -> Array:
    """A tensor that travelled as a list, flat or nested.

    Raises:
        Undecodable: the datatype is unknown or never travels so, an element is not of it, or they are too many or few.
    """
    size = _size(shape, where)
    if datatype in _BINARY_ONLY:
        raise Undecodable(f"{where} is {datatype}, which travels in binary only")
    if datatype == "BYTES":
        return _objects([_as_bytes(each, where) for each in _flat(data)], shape, size, where)
    array = _numbers(_flat(data), _dtype(datatype, where), f"{where} is {datatype}, and holds")
    if array.size != size:
        raise Undecodable(f"{where} has {array.size} elements; its shape says {list(shape)}")
    return array.reshape(shape)


def to_bytes(tensor: Tensor) -> bytes:
    """The tensor as it travels in binary.

    Raises:
        Undecodable: its datatype is unknown.
    """
    if tensor.datatype == "BYTES":
        parts = []
        for element in tensor.data.flat:
            parts += [len(element).to_bytes(_LENGTH, "little"), element]
        return b"".join(parts)
    if tensor.datatype == "BF16":
        bits = np.ascontiguousarray(tensor.data, "<f4").view(np.uint32)
        nearest = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16  # ties go to the even one
        return np.where(np.isnan(tensor.data), 0x7FC0, nearest).astype("<u2").tobytes()
    return tensor.data.astype(_dtype(tensor.datatype, f"tensor '{tensor.name}'"), copy=False).tobytes()


def _numbers(elements: list[Any], dtype: np.dtype[Any], holds: str) -> Array:
    allowed = {bool} if dtype.kind == "b" else {int} if dtype.kind in "iu" else {int, float}
    if not allowed.issuperset(map(type, elements)):
        raise Undecodable(f"{holds} something else")
    if dtype.kind in "iu" and elements:
        limits = np.iinfo(dtype)
        if min(elements) < limits.min or max(elements) > limits.max:
            raise Undecodable(f"{holds} numbers beyond it")
    try:
        with np.errstate(over="ignore"):  # too large for FP32 is infinite there too
            return np.array(elements, dtype)
    except OverflowError:
        raise Undecodable(f"{holds} numbers beyond it") from None


def _objects(elements: list[bytes], shape: Sequence[int], size: int, where: str) -> Array:
    if len(elements) != size:
        raise Undecodable(f"{where} has {len(elements)} elements; its shape says {list(shape)}")
    array = np.empty(size, object)
    array[:] = elements
    return array.reshape(shape)


def _elements(content: bytes | memoryview, where: str) -> list[bytes]:
    content = bytes(content)
    elements, position = [], 0
    while position < len(content):
        start = position + _LENGTH
        position = start + int.from_bytes(content[position:start], "little")
        if start > len(content) or position > len(content):
            raise Undecodable(f"{where} ends inside an element")
        elements.append(content[start:position])
    return elements


def _as_bytes(element: Any, where: str) -> bytes:
    if isinstance(element, str):
        return element.encode("utf-8", "surrogatepass")  # JSON may hold half a character
    if isinstance(element, bytes):
        return element
    raise Undecodable(f"{where} is BYTES, and holds something else than texts")


def _flat(data: Any) -> list[Any]:
    """Elements in row order; not recursive, since nobody bounds the depth of an answer."""
    if type(data) is list and list not in set(map(type, data)):
        return data
    pending, found = [data], []
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending.extend(reversed(item))
        else:
            found.append(item)
    return found


def _dtype(datatype: str, where: str) -> np.dtype[Any]:
    try:
        return np.dtype(_TYPES[datatype])
    except KeyError:
        raise Undecodable(f"{where} has the unknown datatype {datatype!r:.40}") from None


def _size(shape: Sequence[int], where: str) -> int:
    if len(shape) > _MOST_DIMENSIONS:
        raise Undecodable(f"{where} has {len(shape)} dimensions; the most are {_MOST_DIMENSIONS}")
    if not all(type(size) is int and 0 <= size <= _MOST_ELEMENTS for size in shape):
        raise Undecodable(f"{where} has the impossible shape {list(shape)!r:.80}")
    if math.prod(max(size, 1) for size in shape) > _MOST_ELEMENTS:
        raise Undecodable(f"{where} has the shape {list(shape)}, which is larger than any memory")
    return math.prod(shape)
