"""The values that an example sends: those of the model's validation, or for long tensors others like them."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.repository.catalog import Entry
from gateway.repository.description import Tensor

NOT_IN_JSON = frozenset({"FP16", "BF16"})
"""Datatypes that travel as binary data only."""

INTEGERS: Mapping[str, tuple[int, int]] = {
    **{f"INT{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)},
}
"""The smallest and the largest value of each integer datatype."""

_FLOATS = frozenset({"FP16", "BF16", "FP32", "FP64"})
_PACKED = {"BOOL": "?", "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q", "FP16": "e", "FP32": "f", "FP64": "d"}
_PACKED |= {"UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q"}
_LONGEST = 32


@dataclass(frozen=True, slots=True)
class Value:
    """What an example sends as one input.

    Attributes:
        name, datatype: the input's.
        shape: without dimensions of any size.
        data: every element in row-major order; None for a tensor that is too long to be written down.
        low, high: between which the numbers of a long tensor lie; 0 for BOOL and BYTES.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: tuple[Any, ...] | None
    low: float = 0
    high: float = 0

    @property
    def count(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)

    @property
    def is_float(self) -> bool:
        """Whether its elements have fractions."""
        return self.datatype in _FLOATS

    @property
    def is_integer(self) -> bool:
        """Whether its elements are whole numbers."""
        return self.datatype in INTEGERS

    def head(self) -> dict[str, Any]:
        """The tensor in a JSON request, without its data."""
        return {"name": self.name, "shape": list(self.shape), "datatype": self.datatype}

    def nested(self) -> Any:
        """`data` as nested lists of the tensor's shape."""
        assert self.data is not None  # noqa: S101 - for the type checker: asked of short tensors only
        if self.count == 0:
            return []
        rows: list[Any] = list(self.data)
        for size in reversed(self.shape[1:]):
            rows = [rows[start : start + size] for start in range(0, len(rows), size)]
        return rows if self.shape else rows[0]

    def size_bytes(self) -> int:
        """How long the tensor is as binary data; a long one of BYTES is made of empty strings."""
        if self.datatype == "BYTES":
            return len(self.packed()) if self.data is not None else 4 * self.count
        return self.count * (2 if self.datatype == "BF16" else struct.calcsize(_PACKED[self.datatype]))

    def packed(self) -> bytes:
        """`data` as the protocol's binary data: little-endian, strings with their length in front."""
        assert self.data is not None  # noqa: S101 - for the type checker: asked of short tensors only
        if self.datatype == "BYTES":
            texts = [str(text).encode() for text in self.data]
            return b"".join(struct.pack("<I", len(text)) + text for text in texts)
        if self.datatype == "BF16":
            return b"".join(_bfloat16(number) for number in self.data)
        return struct.pack(f"<{len(self.data)}{_PACKED[self.datatype]}", *self.data)


def example_values(entry: Entry) -> tuple[Value, ...]:
    """A value for each input of the model; optional ones only where the model's validation had them.

    Args:
        entry: the model; its signature must be known.
    """
    sample = {str(tensor["name"]): tensor for tensor in entry.sample}
    return tuple(
        _taken(tensor, sample[tensor.name]) if tensor.name in sample else made_up(tensor)
        for tensor in entry.inputs
        if tensor.name in sample or not tensor.optional
    )


def _taken(tensor: Tensor, sampled: Mapping[str, Any]) -> Value:
    shape = tuple(int(size) for size in sampled["shape"])
    data = tuple(_plain(element, tensor.datatype) for element in _flat(sampled.get("data", ())))
    if len(data) == math.prod(shape) <= _LONGEST:
        return Value(tensor.name, tensor.datatype, shape, data)
    if tensor.datatype in ("BOOL", "BYTES") or not data:
        return Value(tensor.name, tensor.datatype, shape, None)
    return Value(tensor.name, tensor.datatype, shape, None, min(data), max(data))


def made_up(tensor: Tensor) -> Value:
    """A value for a tensor of which no example is known; dimensions of any size are 1."""
    shape = tuple(1 if size < 0 else size for size in tensor.shape)
    element = {"BOOL": True, "BYTES": "text"}.get(tensor.datatype, 0.5 if tensor.datatype in _FLOATS else 1)
    count = math.prod(shape)
    if count <= _LONGEST:
        return Value(tensor.name, tensor.datatype, shape, (element,) * count)
    return Value(tensor.name, tensor.datatype, shape, None, 0, 1 if tensor.datatype not in ("BOOL", "BYTES") else 0)


def _flat(data: Any) -> Iterator[Any]:
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        for part in data:
            yield from _flat(part)
    else:
        yield data


def _plain(element: Any, datatype: str) -> Any:
    """An element as JSON has it, with no more digits than its datatype has."""
    if datatype == "BOOL":
        return bool(element)
    if datatype == "BYTES":
        return element.decode(errors="replace") if isinstance(element, bytes) else str(element)
    if datatype in INTEGERS:
        return int(element)
    number = float(element)
    return _shortest(number, datatype) if math.isfinite(number) else 0.0


def _shortest(number: float, datatype: str) -> float:
    """The number with the fewest digits that is the same in the datatype."""
    if datatype == "FP64":
        return number
    code = "<e" if datatype == "FP16" else "<f"
    try:
        exact = struct.pack(code, number)
        texts = (f"{number:.{digits}g}" for digits in range(2, 10))
        return next((float(text) for text in texts if struct.pack(code, float(text)) == exact), number)
    except OverflowError:
        return 0.0


def _bfloat16(number: float) -> bytes:
    """The upper half of the number as FP32, rounded to the nearest, ties to even."""
    [bits] = struct.unpack("<I", struct.pack("<f", number))
    return struct.pack("<H", min((bits + 0x7FFF + (bits >> 16 & 1)) >> 16, 0xFFFF))


def requested_outputs(entry: Entry) -> dict[str, Any]:
    """What a JSON request says of its outputs: nothing, unless some of them travel as binary data only."""
    if not any(output.datatype in NOT_IN_JSON for output in entry.outputs):
        return {}
    binary = {"parameters": {"binary_data": True}}
    return {
        "outputs": [
            {"name": output.name} | (binary if output.datatype in NOT_IN_JSON else {}) for output in entry.outputs
        ]
    }
