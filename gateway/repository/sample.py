"""Inputs to try a model with: those that somebody gave, or made ones of likely shapes and values.

A model with dimensions of any size rarely takes any size, and an integer may be a token, a length or a sample rate. So
made inputs are guesses, the best first; whoever runs the model takes the first guess that it accepts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from gateway.repository.datatypes import BF16, BYTES, NUMPY_NAMES
from gateway.repository.description import ANY, Description, Hints, Tensor
from gateway.repository.sample_file import bfloat16, float32_of, read_sample

Array: TypeAlias = "np.ndarray[Any, Any]"

_BATCH = 2  # so that a model which answers only the first element is found out
_SIZE = 8
_OTHER_SIZES = (1, 16, 32, 64, 128, 224, 512, 1024, 16000)
_IMAGE_SIZE = 224
_AUDIO_SAMPLES = 16000
_CHANNELS = (1, 3, 4)
_LARGEST = 2**22  # elements of one input

_AUDIO = frozenset({"audio", "pcm", "signal", "sound", "speech", "wav", "wave", "waveform", "waveforms"})
_MASK = frozenset({"mask", "masks"})
_ZEROS = frozenset({"segment", "segments", "type"})
_POSITIONS = frozenset({"position", "positions"})
_LENGTHS = frozenset({"len", "length", "lengths", "lens"})
_RATES = frozenset({"rate", "samplerate", "sr"})


def sample_inputs(description: Description, hints: Hints) -> dict[str, Array]:
    """One array for each input: from the sample that the hints name, else the best guess.

    Raises:
        ModelRefused: the sample cannot be read, or does not fit the model.
    """
    if hints.sample is not None:
        return read_sample(hints.sample, description.inputs)
    return next(candidates(description))


def candidates(description: Description) -> Iterator[dict[str, Array]]:
    """Guesses at inputs, the likeliest first, none twice; the same for the same description.

    First sizes and values that names and shapes suggest (images of 224 pixels, a second of audio at 16 kHz, eight
    tokens), then other sizes, the same for every dimension of any size, then nothing but zeros and ones. Optional
    inputs are left out.
    """
    inputs = tuple(tensor for tensor in description.inputs if not tensor.optional) or description.inputs
    guesses = [_Guess(None)]
    guesses += [_Guess(size) for size in (_SIZE, *_OTHER_SIZES)]
    guesses += [_Guess(None, fill) for fill in (0, 1)]
    seen: set[object] = set()
    for guess in guesses:
        shapes = tuple(guess.shape(tensor, batches=description.batches) for tensor in inputs)
        too_large = any(math.prod(shape) > _LARGEST for shape in shapes)
        if (shapes, guess.fill) in seen or (too_large and seen):  # the first is given whatever its size
            continue
        seen.add((shapes, guess.fill))
        length = guess.length(inputs)
        yield {
            tensor.name: guess.array(tensor, shape, np.random.default_rng(index), length)
            for index, (tensor, shape) in enumerate(zip(inputs, shapes, strict=True))
        }


@dataclass(frozen=True, slots=True)
class _Guess:
    """How big dimensions of any size are (None: by what the input seems to be), and what numbers are filled with."""

    size: int | None
    fill: int | None = None

    def shape(self, tensor: Tensor, *, batches: bool) -> tuple[int, ...]:
        size = self.size or _likely_size(tensor)
        shape = [size if each == ANY else each for each in tensor.shape]
        if tensor.shape[:1] == (ANY,):
            if batches:
                shape[0] = _BATCH
            elif self.size is None and _is_image(tensor):
                shape[0] = 1
        return tuple(shape)

    def length(self, inputs: Sequence[Tensor]) -> int:
        """What an input that tells the length of another may say."""
        return self.size or max((_likely_size(each) for each in inputs if ANY in each.shape[1:]), default=_SIZE)

    def array(self, tensor: Tensor, shape: tuple[int, ...], random: np.random.Generator, length: int) -> Array:
        dtype = NUMPY_NAMES[tensor.datatype]
        if tensor.datatype == BYTES:
            return np.full(shape, b"text" if self.fill is None else str(self.fill).encode(), object)
        if tensor.datatype == "BOOL":
            return np.full(shape, self.fill != 0)
        if self.fill is not None:
            values = np.full(shape, float(self.fill))
        elif tensor.datatype.startswith(("FP", "BF")):
            values = np.ones(shape) if _words(tensor) & _MASK else np.asarray(random.random(shape)).round(3)
        else:
            values = np.asarray(_numbers(tensor, shape, random, length))
        return bfloat16(values) if tensor.datatype == BF16 else values.astype(dtype)


def _likely_size(tensor: Tensor) -> int:
    if _is_image(tensor):
        return _IMAGE_SIZE
    if _words(tensor) & _AUDIO and tensor.datatype in ("FP16", "FP32", "FP64", "INT16"):
        return _AUDIO_SAMPLES
    return _SIZE


def _is_image(tensor: Tensor) -> bool:
    return (
        len(tensor.shape) == 4
        and tensor.datatype in ("FP16", "FP32", BF16, "UINT8")
        and (tensor.shape[1] in _CHANNELS or tensor.shape[3] in _CHANNELS)
    )


def _numbers(tensor: Tensor, shape: tuple[int, ...], random: np.random.Generator, length: int) -> Array:
    """Integers that mean something: what their input's name says, a byte of a picture, or else something small."""
    words = _words(tensor)
    largest = np.iinfo(NUMPY_NAMES[tensor.datatype]).max
    if words & _POSITIONS and shape:
        return np.broadcast_to(np.arange(shape[-1]), shape)
    for meaning, value in ((_MASK, 1), (_ZEROS, 0), (_RATES, _AUDIO_SAMPLES), (_LENGTHS, length)):
        if words & meaning:
            return np.full(shape, min(value, largest))
    is_picture = tensor.datatype == "UINT8" and len(shape) >= 3
    return np.asarray(random.integers(0, 256 if is_picture else 4, shape))


def _words(tensor: Tensor) -> frozenset[str]:
    """The words of a name such as `attention_mask`, `inputLengths` or `serving_default_audio:0`."""
    return frozenset(re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", tensor.name).lower()))


def as_json(
    description: Description, inputs: Mapping[str, Array], *, compact: bool = False, max_batch_size: int | None = None
) -> tuple[dict[str, Any], ...]:
    """The `inputs` of a request in the protocol's JSON, with shapes as Triton takes them.

    `data` is flat. Numbers that are not finite, which JSON does not know, are 0. FP16 and BF16 are given as decimals
    too, but the protocol takes them as bytes only: whoever sends them converts them.

    Args:
        description: of the model.
        inputs: arrays by name.
        compact: leave all data out.
        max_batch_size: as configured; a larger batch is cut to it. None: as large as the arrays are.

    Returns:
        One entry for each input that there is; none at all if one has text that is not UTF-8, as JSON has no such text.
    """
    batched = description.batches and max_batch_size != 0
    entries = []
    for tensor in description.inputs:
        if tensor.name in inputs:
            array = inputs[tensor.name][:max_batch_size] if batched else inputs[tensor.name]
            entry = {"name": tensor.name, "datatype": tensor.datatype, "shape": _served_shape(array, batched=batched)}
            try:
                entries.append(entry if compact else {**entry, "data": _json_data(tensor, array)})
            except UnicodeDecodeError:
                return ()
    return tuple(entries)


def _served_shape(array: Array, *, batched: bool) -> list[int]:
    """Triton has no scalars: each is one element."""
    front = 1 if batched else 0
    return [*array.shape[:front], *(array.shape[front:] or (1,))]


def _json_data(tensor: Tensor, array: Array) -> list[Any]:
    if tensor.datatype == BYTES:
        return [each.decode() if isinstance(each, bytes) else str(each) for each in array.flat]
    numbers = float32_of(array) if tensor.datatype == BF16 else array
    if numbers.dtype.kind == "f":
        # The shortest decimals that give the same number again: 0.1, not 0.10000000149011612.
        return [float(str(each)) for each in np.where(np.isfinite(numbers), numbers, 0).astype(numbers.dtype).flat]
    values: list[Any] = numbers.ravel().tolist()
    return values
