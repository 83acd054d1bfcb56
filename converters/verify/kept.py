"""Batches of tensors that are kept for later: in memory as far as a bound allows, in files beyond it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import overload

import numpy as np

from converters.arrays import Array
from converters.errors import OutOfResources

MEMORY_BOUND = 256 * 2**20
"""Bytes that are kept in memory if nothing else is said."""


class KeptBatches(Sequence[Mapping[str, Array]]):
    """A list of batches, each a mapping of tensors by name. What lies in files is mapped into memory as it is read.

    Args:
        bound: bytes that are kept in memory; what is added beyond them goes to a temporary folder, except strings.
    """

    def __init__(self, bound: int = MEMORY_BOUND) -> None:
        self._bound = bound
        self._batches: list[Mapping[str, Array | Path]] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._used = 0

    def append(self, batch: Mapping[str, Array]) -> None:
        """Keep one more batch; its arrays are not to be changed after.

        Raises:
            OutOfResources: the temporary folder has no room left.
        """
        self._batches.append({name: self._keep(array) for name, array in batch.items()})

    def __len__(self) -> int:
        return len(self._batches)

    @overload
    def __getitem__(self, index: int) -> Mapping[str, Array]: ...
    @overload
    def __getitem__(self, index: slice) -> list[Mapping[str, Array]]: ...
    def __getitem__(self, index: int | slice) -> Mapping[str, Array] | list[Mapping[str, Array]]:
        if isinstance(index, slice):
            return [_read(batch) for batch in self._batches[index]]
        return _read(self._batches[index])

    def __iter__(self) -> Iterator[Mapping[str, Array]]:
        return (_read(batch) for batch in self._batches)

    def close(self) -> None:
        """Remove the files, and forget all batches."""
        self._batches.clear()
        if self._folder:
            self._folder.cleanup()
            self._folder = None

    def __enter__(self) -> KeptBatches:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _keep(self, array: Array) -> Array | Path:
        # A file of strings would need pickle, and one of a type that numpy does not have (BF16) would lose it.
        if self._used + array.nbytes <= self._bound or array.dtype.kind not in "biuf":
            self._used += array.nbytes
            return array
        try:
            self._folder = self._folder or tempfile.TemporaryDirectory(prefix="triton-convert-")
            path = Path(self._folder.name) / f"{sum(1 for _ in Path(self._folder.name).iterdir())}.npy"
            np.save(path, array)
        except OSError as error:
            raise OutOfResources(
                f"no room for the outputs that are compared in '{tempfile.gettempdir()}': {error.strerror or error}",
                hint="free some there, set TMPDIR to a larger disk, or verify on fewer batches",
            ) from error
        return path


def _read(batch: Mapping[str, Array | Path]) -> Mapping[str, Array]:
    return {name: np.load(kept, mmap_mode="r") if isinstance(kept, Path) else kept for name, kept in batch.items()}
