"""The request that Triton runs before a model takes traffic, so that no client waits for what happens once.

It has the shapes of a sample on which the model is known to run. Triton makes zeros by itself, which do for floating
point; numbers and texts decide what some models do (a length, a sample rate), so theirs lie in files that Triton reads.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.repository.datatypes import BYTES
from gateway.repository.description import Description

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

FOLDER = "warmup"
"""Where Triton looks for the files, in the model's folder."""

_LARGEST_BATCH = 4  # more costs time at each load and shows nothing more


@dataclass(frozen=True, slots=True)
class WarmupInput:
    """One input of the request.

    Attributes:
        name, datatype: as in the description.
        dims: of one element of the batch, or of the whole where the model does not batch.
        filename: in the folder of warm-up files; empty for zeros.
    """

    name: str
    datatype: str
    dims: tuple[int, ...]
    filename: str = ""


@dataclass(frozen=True, slots=True)
class Warmup:
    """The request.

    Attributes:
        batch_size: how often Triton repeats the inputs, along the batch; 0 where they have no batch taken off.
        inputs: all that the sample has.
    """

    batch_size: int
    inputs: tuple[WarmupInput, ...]


def write_warmup(folder: Path, description: Description, sample: Mapping[str, Array]) -> Warmup:
    """The request that a sample makes, and its files.

    Args:
        folder: the model's folder; its subfolder `warmup` is made where there is something to write.
        description: of the model.
        sample: inputs on which the model ran, with the batch in front where it batches.
    """
    inputs, batch_size = [], 0
    for index, tensor in enumerate(description.inputs):
        if tensor.name not in sample:
            continue  # an optional one
        array = sample[tensor.name]
        if description.batches:
            batch_size = min(array.shape[0], _LARGEST_BATCH)
            array = array[0:1].reshape(array.shape[1:])
        content = b"" if tensor.datatype.startswith(("FP", "BF")) or not array.any() else _raw(array, tensor.datatype)
        filename = f"input{index}" if content else ""
        if content:
            (folder / FOLDER).mkdir(exist_ok=True)
            (folder / FOLDER / filename).write_bytes(content)
        inputs.append(WarmupInput(tensor.name, tensor.datatype, tuple(array.shape), filename))
    return Warmup(batch_size, tuple(inputs))


def _raw(array: Array, datatype: str) -> bytes:
    """The elements as the protocol carries them: little-endian, texts each behind their length."""
    if datatype != BYTES:
        return array.astype(array.dtype.newbyteorder("<")).tobytes()
    texts = (each if isinstance(each, bytes) else str(each).encode() for each in array.flat)
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)
