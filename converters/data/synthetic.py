"""Random data that fits a signature: for benches and smoke checks, never for accuracy."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from converters.arrays import Array, Feeds, numpy_type
from converters.data.digest import digest_of
from converters.errors import BadData
from converters.graph.signature import Signature, Tensor

BATCHES = 8
_SEED = 0
FLOATS = (-1.0, 1.0)
INTEGERS = (0.0, 100.0)  # small enough for the vocabularies and classes that integers usually count


class SyntheticDataset:
    """The same random numbers each time: uniform between -1 and 1 for floats, whole numbers from 0 to 99 for integers.

    Args:
        signature: what to fit.
        batches: how many.
        batch_size: the size of a first dimension that is chosen at run time; other such dimensions have the size 1.

    Raises:
        BadData: an input has no known rank, or a type of which there are no random values. Raised on going through it.
    """

    def __init__(self, signature: Signature, *, batches: int = BATCHES, batch_size: int = 1) -> None:
        self._signature = signature
        self._batches = batches
        self._batch_size = batch_size

    @property
    def origin(self) -> str:
        """That it is made up."""
        return "random numbers"

    @cached_property
    def digest(self) -> str:
        """Over the arrays."""
        return digest_of(self)

    def __len__(self) -> int:
        """How many batches there are."""
        return self._batches

    def __iter__(self) -> Iterator[Feeds]:
        """The batches."""
        generator = np.random.default_rng(_SEED)
        for _ in range(self._batches):
            yield {tensor.name: self._values(tensor, generator) for tensor in self._signature.inputs}

    def _values(self, tensor: Tensor, generator: np.random.Generator) -> Array:
        shape = self._shape(tensor)
        if tensor.datatype == "BYTES":
            return np.array(
                [b"text %d" % number for number in generator.integers(100, size=shape).flat], object
            ).reshape(shape)
        try:
            dtype = numpy_type(tensor.datatype)
        except KeyError:
            raise BadData(f"input '{tensor}' has a type without random values", hint="give real data") from None
        if tensor.datatype == "BOOL":
            return generator.integers(2, size=shape).astype(dtype)
        whole = dtype.kind in "iu"
        low, high = INTEGERS if whole else FLOATS
        values = generator.uniform(low, high, shape)
        return (np.floor(values) if whole else values).astype(dtype)

    def _shape(self, tensor: Tensor) -> tuple[int, ...]:
        if tensor.shape is None:
            raise BadData(f"input '{tensor}' has no known number of dimensions", hint="give real data")
        free = (self._batch_size, *([1] * len(tensor.shape)))
        return tuple(size if isinstance(size, int) else free[axis] for axis, size in enumerate(tensor.shape))
