"""Data in one `.npz` file: an array for each input, whose first dimension counts samples."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from converters.arrays import Array, Feeds
from converters.data.digest import digest_of
from converters.errors import BadData

BATCH = 8


class NpzDataset:
    """The samples of one `.npz` file, in batches. Arrays are read row by row, so that no more than a batch is held.

    Args:
        path: as `np.savez` or `np.savez_compressed` writes it.
        batch_size: samples a batch; the last one has what is left.

    Raises:
        BadData: the file is missing, damaged or none of that kind; an array holds Python objects, has no dimension or
            another number of samples than the first. Raised on the first use.
    """

    def __init__(self, path: Path, *, batch_size: int = BATCH) -> None:
        self._path = path
        self._batch_size = batch_size

    @property
    def origin(self) -> str:
        """The path."""
        return str(self._path)

    @cached_property
    def digest(self) -> str:
        """Over the arrays, not over the file, whose dates change with each writing."""
        return digest_of(self)

    def __len__(self) -> int:
        """How many batches there are."""
        return ceil(self._samples / self._batch_size)

    def __iter__(self) -> Iterator[Feeds]:
        """The batches, in the file's order."""
        with ExitStack() as stack:
            columns = {column.name: column for column in self._columns(stack)}
            for start in range(0, self._samples, self._batch_size):
                count = min(self._batch_size, self._samples - start)
                yield {name: column.rows(count) for name, column in columns.items()}

    @cached_property
    def _samples(self) -> int:
        with ExitStack() as stack:
            columns = self._columns(stack)
            for column in columns[1:]:
                if column.samples != columns[0].samples:
                    raise BadData(
                        f"{self._path} has {column.samples} samples of '{column.name}', "
                        f"and {columns[0].samples} of '{columns[0].name}'",
                        hint="give every input the same number of samples; the first dimension counts them",
                    )
            return columns[0].samples if columns else 0

    def _columns(self, stack: ExitStack) -> list[_Column]:
        archive = stack.enter_context(_opened(self._path))
        members = [name for name in archive.namelist() if name.endswith(".npy")]
        return [_Column(stack.enter_context(archive.open(name)), name[:-4], self._path) for name in members]


class _Column:
    """One array of the file, read from its beginning to its end."""

    def __init__(self, file: IO[bytes], name: str, path: Path) -> None:
        self._file = file
        self.name = name
        self._what = f"'{name}' in {path}"
        try:
            version = npy.read_magic(file)  # type: ignore[no-untyped-call]  # numpy's stubs leave these bare
            read_header: Any = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, in_columns, self._dtype = read_header(file)
        except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
            raise BadData(f"{self._what} is damaged: {error}", hint="write the file again") from None
        if self._dtype.hasobject:
            raise BadData(
                f"{self._what} holds Python objects",
                hint="save strings as numpy's 'S' or 'U' types, and all else as numbers",
            )
        if not shape or (in_columns and len(shape) > 1):
            raise BadData(
                f"{self._what} has no samples" if not shape else f"{self._what} is in Fortran's order",
                hint="let the first dimension count samples" if not shape else "save `np.ascontiguousarray(array)`",
            )
        self.samples, *self._row = shape

    def rows(self, count: int) -> Array:
        """The next `count` samples."""
        shape = (count, *self._row)
        size = int(np.prod(shape, dtype=np.int64)) * self._dtype.itemsize
        try:
            content = self._file.read(size)
        except (OSError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise BadData(f"{self._what} is damaged: {error}", hint="write the file again") from None
        if len(content) != size:
            raise BadData(f"{self._what} ends too early", hint="write the file again")
        array: Array = np.frombuffer(content, self._dtype).reshape(shape)
        return array.astype(self._dtype.newbyteorder("="), copy=False)


def _opened(path: Path) -> Any:
    try:
        return zipfile.ZipFile(path)
    except FileNotFoundError:
        raise BadData(f"there is no file {path}", hint="correct the path") from None
    except (OSError, zipfile.BadZipFile) as error:
        hint = "write it by `np.savez(path, input_name=array, ...)`"
        raise BadData(f"{path} cannot be read as .npz: {error}", hint=hint) from None
