#!/usr/bin/env python3
"""Write down the notes of a recording: a client of the `basic_pitch` models.

    python examples/transcribe.py                        # a synthesised melody, so that the right answer is known
    python examples/transcribe.py song.wav --model basic_pitch_onnx --protocol grpc

Needs `pip install numpy tritonclient[all]`, and nothing of the gateway.
"""

from __future__ import annotations

import argparse
import json
import sys
import wave
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

Array = npt.NDArray[Any]

# What the models take: windows of 43844 samples at 22050 Hz. What they give: 172 frames of 256 samples a window, of
# which the 15 at each end lack context; so windows overlap by 30 frames, and those 15 are dropped.
RATE = 22050
WINDOW = 43844
FRAME = 256
MARGIN = 15
HOP = WINDOW - 2 * MARGIN * FRAME
LOWEST_PITCH = 21  # the MIDI number of the first of 88 semitones: A0

# What the paper's authors decode with: two probabilities, and frames of 11.6 ms.
ONSET = 0.5
SOUNDING = 0.3
PATIENCE = 11

# The names of the tensors: audio, note, onset. It is the same network, exported twice.
TENSORS = {
    "basic_pitch": ("input_2", "note", "onset"),
    "basic_pitch_onnx": (
        "serving_default_input_2:0",
        "StatefulPartitionedCall:1",
        "StatefulPartitionedCall:2",
    ),
}
BATCH = 16  # windows in one request: the models' max_batch_size
PORTS = {"http": 8080, "grpc": 8081}

# The first phrases of the "Ode to Joy": (pitch as a MIDI number, seconds).
MELODY = [
    *((pitch, 0.5) for pitch in (64, 64, 65, 67, 67, 65, 64, 62, 60, 60, 62, 64)),
    *((64, 0.75), (62, 0.25), (62, 1.0)),
]


@dataclass(frozen=True)
class Note:
    """A note: MIDI pitch, onset and duration in seconds, and how sure the model is, from 0 to 1."""

    pitch: int
    onset: float
    duration: float
    strength: float = 1.0

    @property
    def name(self) -> str:
        """Such as C#4; C4 is the middle C."""
        names = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
        return f"{names[self.pitch % 12]}{self.pitch // 12 - 1}"


def synthesise(melody: list[tuple[int, float]]) -> tuple[Array, list[Note]]:
    """Play a melody on a plucked string: its samples, and the notes that it has."""
    samples, notes, onset = [], [], 0.0
    for pitch, seconds in melody:
        time = np.arange(round(seconds * RATE)) / RATE
        frequency = 440 * 2 ** ((pitch - 69) / 12)
        partials = ((k, frequency * k) for k in range(1, 7) if frequency * k < RATE / 2)
        tone = sum(np.sin(2 * np.pi * f * time) * np.exp(-(1 + k / 2) * time) / k**1.5 for k, f in partials)
        fade = np.minimum(time / 0.01, 1) * np.minimum((seconds - time) / 0.05, 1)
        samples.append(0.5 * tone * fade)
        notes.append(Note(pitch, onset, seconds))
        onset += seconds
    return np.concatenate(samples).astype(np.float32), notes


def read_wav(path: Path) -> Array:
    """Read a PCM WAV file as mono samples at 22050 Hz, from -1 to 1."""
    with wave.open(str(path)) as file:
        width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
        raw = file.readframes(file.getnframes())
    if width == 3:  # numpy has no 24-bit integers: make them the upper bytes of 32-bit ones
        raw, width = np.pad(np.frombuffer(raw, np.uint8).reshape(-1, 3), ((0, 0), (1, 0))).tobytes(), 4
    kinds: dict[int, Any] = {1: np.uint8, 2: "<i2", 4: "<i4"}
    samples = np.frombuffer(raw, kinds[width]) / 2.0 ** (8 * width - 1) - (1 if width == 1 else 0)
    mono: Array = samples.reshape(-1, channels).mean(axis=1)
    length = round(len(mono) * RATE / rate)
    if length != len(mono):  # resample: keep the spectrum up to the lower of both Nyquist frequencies
        mono = np.fft.irfft(np.fft.rfft(mono)[: length // 2 + 1], length) * (length / len(mono))
    return mono.astype(np.float32)


def cut(samples: Array) -> Array:
    """Cut audio into overlapping windows: [n] -> [windows, 43844, 1]."""
    count = max(1, -(-len(samples) // HOP))
    padded = np.pad(samples, (MARGIN * FRAME, WINDOW))
    windows: Array = np.stack([padded[i * HOP : i * HOP + WINDOW] for i in range(count)])
    return windows[..., np.newaxis]


def infer(windows: Array, model: str, protocol: str, url: str) -> tuple[Array, Array]:
    """Ask the model: [windows, 43844, 1] -> note and onset, both [windows, 172, 88]."""
    triton = tritonclient.grpc if protocol == "grpc" else tritonclient.http
    audio_name, note_name, onset_name = TENSORS[model]
    parts = []
    with triton.InferenceServerClient(url) as client:
        for batch in np.split(windows, range(BATCH, len(windows), BATCH)):
            audio = triton.InferInput(audio_name, batch.shape, "FP32")
            audio.set_data_from_numpy(np.ascontiguousarray(batch, np.float32))
            outputs = [triton.InferRequestedOutput(name) for name in (note_name, onset_name)]
            result = client.infer(model, [audio], outputs=outputs)
            parts.append((result.as_numpy(note_name), result.as_numpy(onset_name)))
    notes, onsets = zip(*parts, strict=True)
    return np.concatenate(notes), np.concatenate(onsets)


def join(windows: Array, length: int) -> tuple[Array, Array]:
    """Join what the windows gave: [windows, 172, 88] -> [frames, 88], and each frame's time in seconds."""
    kept = windows[:, MARGIN:-MARGIN]
    starts = np.arange(len(kept))[:, np.newaxis] * HOP + np.arange(kept.shape[1]) * FRAME
    inside = starts.ravel() < length
    return kept.reshape(-1, kept.shape[2])[inside], starts.ravel()[inside] / RATE


def decode(note: Array, onset: Array, times: Array) -> list[Note]:
    """Turn posteriorgrams into notes, as Bittner et al. describe it (ICASSP 2022).

    A note begins at each peak of `onset` above ONSET. From the last peak to the first, it lasts until `note` has been
    below SOUNDING for PATIENCE frames; what it covered, and its neighbours in pitch, is then used up. Notes of no more
    than PATIENCE frames (128 ms) are dropped.

    Args:
        note: probability that a pitch sounds, [frames, 88].
        onset: probability that it begins to, [frames, 88].
        times: of the frames, in seconds, [frames].
    """
    before, after = np.pad(onset, ((1, 0), (0, 0)))[:-1], np.pad(onset, ((0, 1), (0, 0)))[1:]
    peaks = np.argwhere((onset >= ONSET) & (onset > before) & (onset >= after))
    left, found = note.copy(), []
    for start, pitch in peaks[::-1]:
        end = last = start + 1
        while end < len(note) and end - last < PATIENCE:
            end += 1
            if left[end - 1, pitch] >= SOUNDING:
                last = end
        if last - start <= PATIENCE:
            continue
        left[start:last, max(pitch - 1, 0) : pitch + 2] = 0
        until = times[last] if last < len(times) else times[-1] + FRAME / RATE
        strength = float(note[start:last, pitch].mean())
        found.append(Note(LOWEST_PITCH + int(pitch), float(times[start]), float(until - times[start]), strength))
    return sorted(found, key=lambda n: (n.onset, n.pitch))


def transcribe(samples: Array, model: str, protocol: str, url: str) -> list[Note]:
    """Samples at 22050 Hz -> notes."""
    note, onset = infer(cut(samples), model, protocol, url)
    frames, times = join(note, len(samples))
    return decode(frames, join(onset, len(samples))[0], times)


def same_notes(found: list[Note], expected: list[Note], tolerance: float = 0.05) -> bool:
    """Whether both have the same pitches in the same order, with onsets that are at most `tolerance` seconds apart."""
    return [n.pitch for n in found] == [n.pitch for n in expected] and all(
        abs(f.onset - e.onset) <= tolerance for f, e in zip(found, expected, strict=True)
    )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Write down the notes of a recording.")
    parser.add_argument("wav", nargs="?", type=Path, help="a PCM WAV file; default: a synthesised melody")
    parser.add_argument("--model", choices=TENSORS, default="basic_pitch_onnx")
    parser.add_argument("--protocol", choices=PORTS, default="http")
    parser.add_argument("--url", help="HOST:PORT of the gateway; default: localhost, 8080 for HTTP and 8081 for gRPC")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    url = options.url or f"localhost:{PORTS[options.protocol]}"
    try:
        samples, expected = (read_wav(options.wav), None) if options.wav else synthesise(MELODY)
    except (OSError, EOFError, KeyError, wave.Error) as error:
        sys.exit(f"{options.wav}: cannot be read as a PCM WAV file: {error}")
    try:
        notes = transcribe(samples, options.model, options.protocol, url)
    except (OSError, InferenceServerException) as error:
        sys.exit(f"{options.model} at {url} did not answer: {error}")
    matches = same_notes(notes, expected) if expected else None
    if options.json:
        spelt = [asdict(note) | {"name": note.name} for note in notes]
        print(json.dumps({"seconds": len(samples) / RATE, "notes": spelt, "matches": matches}))
        return
    for note in notes:
        print(f"{note.onset:7.2f} s  {note.name:<4} {note.duration:5.2f} s  {'#' * round(20 * note.strength)}")
    if matches is not None:
        print("These are the notes that were played." if matches else "These are NOT the notes that were played.")


if __name__ == "__main__":
    main()
