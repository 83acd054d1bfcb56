"""What every source of input data gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from converters.arrays import Feeds


class Dataset(Protocol):
    """Input for a model, batch by batch; going through it again gives the same again."""

    @property
    def origin(self) -> str:
        """Where it comes from, as reports and error messages say it."""

    @property
    def digest(self) -> str:
        """SHA-256 in lower-case hex over all that it gives; what is built from it is known by this."""

    def __len__(self) -> int:
        """How many batches there are."""

    def __iter__(self) -> Iterator[Feeds]:
        """The batches: input tensors by name, the batch dimension first.

        Raises:
            BadData: it cannot be read; says which file or which batch, and what to do.
        """
