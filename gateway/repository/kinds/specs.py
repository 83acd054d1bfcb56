"""From what our backends tell, and refuse, to what a data scientist is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.core.errors import ModelRefused
from gateway.repository.datatypes import normalise
from gateway.repository.description import Tensor
from gateway.repository.kinds.hinted import UNKNOWN

if TYPE_CHECKING:
    from backends.common.signature import TensorSpec


@contextmanager
def refused(source: Path) -> Iterator[None]:
    """What a backend refuses inside of this is refused to the person who dropped `source`."""
    from backends.common.errors import LoadError  # noqa: PLC0415 - only the sandbox has the backends on its path

    try:
        yield
    except LoadError as error:
        text = str(error)
        raise ModelRefused(text if f"'{source.name}'" in text else f"'{source.name}': {text}") from None


def tensors_of(side: str, specs: Sequence[TensorSpec]) -> tuple[Tensor, ...]:
    """The tensors that a backend found; one whose shape the model does not tell has the shape `UNKNOWN`.

    Args:
        side: "input" or "output", for messages.
        specs: with datatypes in Triton's words.

    Raises:
        ModelRefused: Triton cannot carry one.
    """
    from backends.common.datatypes import NUMPY_TYPES  # noqa: PLC0415 - only the sandbox has the backends on its path

    for spec in specs:
        if spec.datatype not in NUMPY_TYPES:
            raise ModelRefused(
                f"{side} '{spec.name}' of the model is {spec.datatype}, which Triton cannot carry; export the model "
                "without it, or as numbers of another type"
            )
    return tuple(
        Tensor(spec.name, normalise(spec.datatype), UNKNOWN if spec.shape is None else spec.shape, spec.optional)
        for spec in specs
    )


def folder_size(folder: Path) -> int:
    """The bytes of all files below the folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
