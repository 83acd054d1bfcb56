"""What basic_pitch is calibrated, verified and judged with: synthesised music, always the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Batch = Mapping[str, Array]
Random = np.random.Generator

INPUT = "input_2"  # of the SavedModel
RATE, WINDOW = 22050, 43844  # samples a second, and in a window
BATCH = 4
# The last bit of a 16-bit recording. Not digital silence: the model divides by the range of its logarithms, which is 0
# then if all are computed alike, and not 0 if the last bit of one differs, as with another number of threads.
QUIET = 2**-15

# The posteriorgram of 88 keys that says where notes sound; of the other outputs one has as many keys, one 264 bins.
NOTE = "note"
SOUNDS = 0.5  # from this probability on, a note sounds


def calibration() -> Iterator[Batch]:
    """Windows of music, one of them a quiet room: FP32 [4, 43844, 1], four times."""
    return _batches(seed=1, count=4)


def verification() -> Iterator[Batch]:
    """Other music."""
    return _batches(seed=2, count=4)


def same_notes(original: Sequence[Batch], result: Sequence[Batch], inputs: Sequence[Batch]) -> float:  # noqa: ARG001
    """How alike the notes are that both find: the F1 measure of the keys that sound, over all frames."""
    both = found = 0
    for one, other in zip(original, result, strict=True):
        sounds, again = (batch[NOTE] >= SOUNDS for batch in (one, other))
        both += int(np.sum(sounds & again))
        found += int(np.sum(sounds)) + int(np.sum(again))
    return 2 * both / found if found else 1.0


def music(random: Random) -> Array:
    """One window: chords and runs of one to four voices, each note with its own attack, decay and partials."""
    samples = np.zeros(WINDOW)
    for _ in range(random.integers(1, 5)):
        onset, pitch = 0, int(random.integers(36, 85))
        while onset < WINDOW:
            length = int(random.uniform(0.12, 1.0) * RATE)
            if random.random() < 0.85:
                note = _note(random, pitch, length)[: WINDOW - onset]
                samples[onset : onset + len(note)] += note
            onset += length
            pitch = int(np.clip(pitch + random.integers(-5, 6), 28, 100))
    noise = random.normal(0, float(10 ** random.uniform(-4, -2)), WINDOW)
    loud = float(random.uniform(0.1, 0.9)) / max(float(np.abs(samples).max()), 1e-3)
    return samples * loud + noise


def _note(random: Random, pitch: int, length: int) -> Array:
    time = np.arange(length) / RATE
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    bright, decay = random.uniform(0.8, 2.5), random.uniform(0.5, 5)
    tone = np.zeros(length)
    for partial in range(1, 9):
        if partial * frequency < RATE / 2:
            damped = np.exp(-decay * (1 + partial / 4) * time) / partial**bright
            tone += damped * np.sin(2 * np.pi * partial * frequency * time + random.uniform(0, 2 * np.pi))
    fade = np.minimum(time / 0.005, 1) * np.minimum((length / RATE - time) / 0.02, 1)
    note: Array = tone * fade * float(random.uniform(0.3, 1))
    return note


def _batches(seed: int, count: int) -> Iterator[Batch]:
    random = np.random.default_rng(seed)
    for index in range(count):
        windows = [music(random) for _ in range(BATCH)]
        if index == 0:
            windows[-1] = np.random.default_rng(seed).normal(0, QUIET, WINDOW)
        yield {INPUT: np.stack(windows)[..., np.newaxis].clip(-1, 1).astype(np.float32)}
