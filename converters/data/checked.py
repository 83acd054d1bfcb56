"""Holds every batch against what the model takes, before any library sees it."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from itertools import islice

import numpy as np

from converters.arrays import Array, Feeds, datatype_of
from converters.data.base import Dataset
from converters.errors import BadData
from converters.graph.signature import Signature, Tensor


class CheckedDataset:
    """Another dataset, whose batches fit a signature.

    FP64 becomes FP32 where the model takes that, since numpy makes FP64 of all it is not told otherwise. Nothing else
    is cast: an INT32 that should be INT64 is as often a wrong tensor as a harmless one.

    Args:
        data: where the batches come from.
        signature: what the model takes. First dimensions of the same name must have the same size within a batch.
        batches: only the first so many; None means all.

    Raises:
        BadData: (on going through it) a batch does not fit, or there is none; says which batch and input, what was
            expected, and what to do.
    """

    def __init__(self, data: Dataset, signature: Signature, *, batches: int | None = None) -> None:
        self._data = data
        self._signature = signature
        self._batches = batches

    @property
    def origin(self) -> str:
        """That of the dataset behind it."""
        return self._data.origin

    @property
    def digest(self) -> str:
        """That of the dataset behind it, with the number of batches if not all are used."""
        whole = self._data.digest
        return whole if len(self) == len(self._data) else f"{whole}:{len(self)}"

    def __len__(self) -> int:
        """How many batches there are."""
        return len(self._data) if self._batches is None else min(self._batches, len(self._data))

    def __iter__(self) -> Iterator[Feeds]:
        """The batches, checked one by one."""
        empty = True
        for index, feeds in enumerate(islice(self._data, self._batches)):
            empty = False
            yield self._checked(feeds, index)
        if empty:
            raise BadData(
                f"{self.origin} holds no data", hint="give at least one batch; some hundred samples are usual"
            )

    def _checked(self, feeds: Feeds, index: int) -> Feeds:
        where = f"batch {index} of {self.origin}"
        wanted = {tensor.name: tensor for tensor in self._signature.inputs}
        for name in feeds:
            if name not in wanted:
                raise BadData(
                    f"{where} has an input '{name}' that the model does not take", hint=_nearest(name, wanted)
                )
        for name, tensor in wanted.items():
            if name not in feeds:
                raise BadData(f"{where} lacks the input '{tensor}'", hint=f"add an array named '{name}'")
        samples: dict[str, tuple[int, str]] = {}
        return {name: _fitting(feeds[name], tensor, where, samples) for name, tensor in wanted.items()}


def _nearest(name: str, wanted: dict[str, Tensor]) -> str:
    close = get_close_matches(name, wanted, n=1, cutoff=0.5)
    everything = ", ".join(str(tensor) for tensor in wanted.values())
    return f"rename it to '{close[0]}', or leave it out" if close else f"leave it out; the model takes {everything}"


def _fitting(array: Array, tensor: Tensor, where: str, samples: dict[str, tuple[int, str]]) -> Array:
    what = f"input '{tensor.name}' in {where}"
    datatype = datatype_of(array)
    if datatype == "FP64" and tensor.datatype == "FP32":
        array, datatype = array.astype(np.float32), "FP32"
    if datatype != tensor.datatype:
        raise BadData(
            f"{what} is {datatype or array.dtype}, and the model takes {tensor.datatype or 'what cannot be fed'}",
            hint=f"save it as {tensor.datatype}, if it is the right array" if tensor.datatype else "use another input",
        )
    _refuse_shape(array, tensor, what, samples)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = np.argwhere(~np.isfinite(array))[0].tolist()
        raise BadData(f"{what} holds NaN or infinity, first at {bad}", hint="leave such samples out")
    return array


def _refuse_shape(array: Array, tensor: Tensor, what: str, samples: dict[str, tuple[int, str]]) -> None:
    if tensor.shape is None:
        return
    expected = f"[{', '.join(str(size or '?') for size in tensor.shape)}]"
    shape = list(array.shape)
    if array.ndim != len(tensor.shape):
        raise BadData(
            f"{what} has {array.ndim} dimensions {shape}, and the model takes {len(tensor.shape)} {expected}",
            hint="add the dimensions that are missing; the batch comes first, even for one sample"
            if array.ndim < len(tensor.shape)
            else "drop the dimensions that are too many",
        )
    for axis, (size, wanted) in enumerate(zip(shape, tensor.shape, strict=True)):
        if isinstance(wanted, int) and size != wanted:
            raise BadData(
                f"{what} has the shape {shape}, and the model takes {expected}",
                hint=f"make dimension {axis} {wanted} instead of {size}",
            )
    if array.size == 0:
        raise BadData(f"{what} has no elements: its shape is {shape}", hint="leave such batches out")
    # Exporters give unrelated dimensions one name ("?"), so names bind no others than the batch.
    if tensor.shape and isinstance(tensor.shape[0], str) and tensor.shape[0]:
        known, first = samples.setdefault(tensor.shape[0], (shape[0], what))
        if known != shape[0]:
            raise BadData(
                f"{what} has {shape[0]} samples, but {first} has {known}",
                hint="give all inputs of a batch the same number of samples",
            )
