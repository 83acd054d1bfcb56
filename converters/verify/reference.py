"""What the original gives on the data: computed once, and compared with every result."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

import numpy as np

from converters.arrays import Array, Feeds
from converters.data.base import Dataset
from converters.engines.base import Progress
from converters.errors import BadData
from converters.verify.base import Runner
from converters.verify.differences import batch_size, magnitude
from converters.verify.kept import MEMORY_BOUND, KeptBatches


class Reference:
    """The original's outputs on all of the data. Close it, or use it in a `with` statement.

    Args:
        original: runs the model; it is not needed any more once this is made.
        data: what it is run on, and what results are run on.
        progress: told batch by batch.
        bound: bytes of outputs that are kept in memory; those beyond it go to a temporary folder.

    Raises:
        BadData: there is no data, it does not fit the model, or the original itself gives nothing but NaN on it.
        OutOfResources: there is no room for the outputs.
    """

    def __init__(self, original: Runner, data: Dataset, progress: Progress, bound: int = MEMORY_BOUND) -> None:
        self.name = original.name
        self.data = data
        self.samples = 0
        self.outputs = KeptBatches(bound)
        try:
            self._run(original, progress)
            self.scales = self._scales()
        except BaseException:
            self.close()
            raise

    @property
    def batches(self) -> int:
        """How many batches the data has."""
        return len(self.outputs)

    def close(self) -> None:
        """Let go of the outputs."""
        self.outputs.close()

    def __enter__(self) -> Reference:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, original: Runner, progress: Progress) -> None:
        progress.stage("run the original", len(self.data))
        for number, feeds in enumerate(self.data, start=1):
            self.outputs.append(run_batch(original, feeds, number, self.data))
            self.samples += batch_size(feeds)
            progress.step(number)
        if not self.outputs:
            raise BadData(f"{self.data.origin} has no data to verify with", hint="give at least one batch")

    def _scales(self) -> Mapping[str, float]:
        """Each output's mean absolute value."""
        names = self.outputs[0]
        for name in names:
            arrays = [batch[name] for batch in self.outputs]
            if any(array.size for array in arrays) and all(_nothing(array) for array in arrays):
                raise BadData(
                    f"the original itself gives nothing but NaN for output '{name}' on {self.data.origin}",
                    hint="give data that the model was made for",
                )
        return {name: magnitude([batch[name] for batch in self.outputs]) for name in names}


def run_batch(runner: Runner, feeds: Feeds, number: int, data: Dataset) -> Mapping[str, Array]:
    """One batch's outputs.

    Raises:
        BadData: the model does not take it; says which batch of which data, too.
    """
    try:
        return runner.run(feeds)
    except BadData as error:
        raise BadData(f"batch {number} of {data.origin}: {error.what}", hint=error.hint, place=error.place) from error


def _nothing(array: Array) -> bool:
    return array.dtype.kind == "f" and bool(np.isnan(array).all())
