"""Data that a user's Python function yields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from converters.arrays import Array, Feeds
from converters.data.digest import digest_of
from converters.errors import BadData
from converters.user_code import user_function, users_own

BATCHES = 1000
LARGEST = 4 << 30


class GeneratorDataset:
    """What `path/to/file.py:function` or `module:function` yields: mappings of input names to arrays, a batch each.

    The function takes no arguments. It is called once, and what it yields is kept, so that each pass gives the same
    even if it draws random numbers.

    Args:
        reference: of the function.
        base: the folder that paths count from.
        batches: take only so many; without a limit, a function that never ends is stopped by an error.
        largest: bytes to keep at most.

    Raises:
        ConfigError: there is no such file, module or function.
        ConversionError: the user's code failed; says where in it.
        BadData: it yields something else than mappings of names to arrays, or too much.
        All are raised on the first use.
    """

    def __init__(
        self, reference: str, *, base: Path = Path(), batches: int | None = None, largest: int = LARGEST
    ) -> None:
        self._reference = reference
        self._base = base
        self._limit = batches
        self._largest = largest

    @property
    def origin(self) -> str:
        """The reference."""
        return self._reference

    @cached_property
    def digest(self) -> str:
        """Over the arrays, not over the code."""
        return digest_of(self._kept)

    def __len__(self) -> int:
        """How many batches there are."""
        return len(self._kept)

    def __iter__(self) -> Iterator[Feeds]:
        """The batches."""
        return iter(self._kept)

    @cached_property
    def _kept(self) -> Sequence[Feeds]:
        made = self._made(user_function(self._reference, self._base))
        kept: list[Feeds] = []
        size = 0
        for index, batch in enumerate(islice(made, self._limit)):
            feeds = _feeds(batch, f"batch {index} of {self._reference}")
            size += sum(array.nbytes for array in feeds.values())
            kept.append(feeds)
            if size > self._largest:
                raise BadData(
                    f"{self._reference} yields more than {self._largest >> 20} MiB",
                    hint="limit the batches, or write them to a folder of .npz files, which is read batch by batch",
                )
            if self._limit is None and len(kept) > BATCHES:
                hint = "let it end, or set how many batches to take"
                raise BadData(f"{self._reference} yields more than {BATCHES} batches", hint=hint)
        return kept

    def _made(self, function: Callable[[], Any]) -> Iterator[Any]:
        """What the function yields, with each of its steps under the guard that tells users' errors from ours."""
        with users_own(self._reference):
            made = function()
        if not isinstance(made, Iterable) or isinstance(made, (Mapping, str, bytes, np.ndarray)):
            raise BadData(
                f"{self._reference} gives a {type(made).__name__}",
                hint="let it yield, or return a list of, mappings of input names to arrays",
            )
        with users_own(self._reference):
            steps = iter(made)
        end = object()
        while True:
            with users_own(self._reference):
                batch = next(steps, end)
            if batch is end:
                return
            yield batch


def _feeds(batch: Any, where: str) -> dict[str, Array]:
    if not isinstance(batch, Mapping) or not all(isinstance(name, str) for name in batch):
        raise BadData(
            f"{where} is a {type(batch).__name__}, not a mapping",
            hint="yield {'input_name': array, ...} for each batch",
        )
    feeds = {}
    for name, value in batch.items():
        try:
            # A copy: generators like to fill one array again and again.
            array = np.array(value)
        except (ValueError, TypeError) as error:
            raise BadData(f"'{name}' in {where} is no array: {error}", hint="yield numpy arrays") from None
        if array.dtype == object and not all(isinstance(element, (bytes, str)) for element in array.flat):
            raise BadData(f"'{name}' in {where} holds Python objects", hint="yield numpy arrays of numbers or strings")
        feeds[name] = array
    return feeds
