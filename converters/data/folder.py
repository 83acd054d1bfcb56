"""Data in a folder of `.npz` and `.npy` files."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from math import ceil
from pathlib import Path

import numpy as np

from converters.arrays import Array, Feeds
from converters.data.digest import digest_of
from converters.errors import BadData

SUFFIXES = (".npz", ".npy")


class FolderDataset:
    """The files of a folder, in the order of their names (`2.npz` before `10.npz`).

    There are three layouts:

    - `.npz` files: each holds an array for every input;
    - `.npy` files: the only input of the model;
    - a subfolder for every input, named like it, with `.npy` files of the same names in all of them.

    Args:
        path: the folder. Hidden files and files of other kinds are passed over.
        batch_size: None takes each file as a batch, its first dimension counting samples. A number takes each file as
            one sample without a batch dimension, and stacks so many.
        input_name: of the only input, for `.npy` files.

    Raises:
        BadData: the folder is missing, empty or mixes layouts, or a file is damaged or does not fit the others. Raised
            on the first use.
    """

    def __init__(self, path: Path, *, batch_size: int | None = None, input_name: str = "") -> None:
        self._path = path
        self._batch_size = batch_size
        self._input_name = input_name

    @property
    def origin(self) -> str:
        """The path."""
        return str(self._path)

    @cached_property
    def digest(self) -> str:
        """Over the arrays."""
        return digest_of(self)

    def __len__(self) -> int:
        """How many batches there are."""
        return ceil(len(self._samples) / (self._batch_size or 1))

    def __iter__(self) -> Iterator[Feeds]:
        """The batches."""
        loaded = (_loaded(files) for files in self._samples)
        if self._batch_size is None:
            yield from loaded
            return
        while group := list(islice(loaded, self._batch_size)):
            yield _stacked(group, self.origin)

    @cached_property
    def _samples(self) -> Sequence[Mapping[str, Path]]:
        """The files of each sample or batch: by input, or one `.npz` under an empty name."""
        if not self._path.is_dir():
            raise BadData(f"there is no folder {self._path}", hint="correct the path")
        archives, arrays = (_files(self._path, suffix) for suffix in SUFFIXES)
        folders = [entry for entry in _visible(self._path) if entry.is_dir() and _files(entry, ".npy")]
        if sum(map(bool, (archives, arrays, folders))) > 1:
            raise BadData(
                f"{self._path} mixes layouts", hint="give .npz files, or .npy files, or a folder of .npy files an input"
            )
        if archives:
            return [{"": file} for file in archives]
        if arrays:
            if not self._input_name:
                raise BadData(
                    f"{self._path} has .npy files, which do not name their input",
                    hint="put them into a subfolder named like the input",
                )
            return [{self._input_name: file} for file in arrays]
        if not folders:
            raise BadData(f"{self._path} has no .npz or .npy files", hint="write some, such as by `np.savez`")
        return _aligned(folders)


def _aligned(folders: Sequence[Path]) -> list[Mapping[str, Path]]:
    first = [file.name for file in _files(folders[0], ".npy")]
    for folder in folders[1:]:
        unmatched = set(first) ^ {file.name for file in _files(folder, ".npy")}
        if unmatched:
            raise BadData(
                f"{min(unmatched)} is in one of {folders[0]} and {folder}, and not in the other",
                hint="give each sample a file of the same name in the folders of all inputs",
            )
    return [{folder.name: folder / name for folder in folders} for name in first]


def _visible(folder: Path) -> list[Path]:
    return [entry for entry in folder.iterdir() if not entry.name.startswith(".")]


def _files(folder: Path, suffix: str) -> list[Path]:
    return sorted((entry for entry in _visible(folder) if entry.suffix == suffix and entry.is_file()), key=by_number)


def by_number(path: Path) -> tuple[int, int, str]:
    """Sorts file names, numbers by their value and before words."""
    return (0, int(path.stem), path.name) if path.stem.isdecimal() else (1, 0, path.name)


def _loaded(files: Mapping[str, Path]) -> dict[str, Array]:
    feeds: dict[str, Array] = {}
    for name, path in files.items():
        try:
            with path.open("rb") as file:
                content = np.load(file, allow_pickle=False)
                feeds |= {name: content} if name else dict(content)
        except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            pickled = "allow_pickle" in str(error)
            raise BadData(
                f"{path} {'holds Python objects' if pickled else f'cannot be read: {error}'}",
                hint="save plain arrays by `np.savez` or `np.save`",
            ) from None
    return feeds


def _stacked(group: Sequence[Mapping[str, Array]], origin: str) -> Feeds:
    first = group[0]
    for sample in group[1:]:
        for name in first.keys() | sample.keys():
            shapes = [side[name].shape if name in side else None for side in (first, sample)]
            if shapes[0] != shapes[1]:
                raise BadData(
                    f"samples of '{name}' in {origin} have the shapes {shapes[0]} and {shapes[1]}, "
                    "which do not make a batch",
                    hint="make them all of one shape, or batch them yourself and give no batch size",
                )
    return {name: np.stack([sample[name] for sample in group]) for name in first}
