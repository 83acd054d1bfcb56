#!/usr/bin/env python3
"""Find out when somebody speaks: a client of the `silero_vad` model.

    python examples/detect_speech.py                       # the sample conversation that `make models` fetched
    python examples/detect_speech.py talk.wav --protocol grpc

Needs `pip install numpy tritonclient[all]`, and nothing of the gateway.
"""

from __future__ import annotations

import argparse
import json
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

Array = npt.NDArray[Any]

RATE = 16000
WINDOW = 512  # samples that one probability stands for: 32 ms
PIECE = 9375 * WINDOW  # samples in one request: 5 minutes, 19 MB, far below every size limit
LEAD = 256 * WINDOW  # samples that a piece repeats of the one before it, as the model remembers some seconds

THRESHOLD = 0.5  # from this probability on, somebody speaks
LONGEST_PAUSE = 0.3  # seconds that do not end a segment
SHORTEST_SPEECH = 0.2  # seconds; anything shorter is no segment

PORTS = {"http": 8080, "grpc": 8081}
SAMPLE = Path(__file__).with_name("data") / "conversation" / "conversation.wav"


def read_wav(path: Path) -> Array:
    """Read a PCM WAV file as mono samples at 16 kHz, from -1 to 1."""
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


def speech_probabilities(samples: Array, protocol: str, url: str) -> Array:
    """Probability that somebody speaks, for each 32 ms: [n] -> [ceil(n / 512)]."""
    triton = tritonclient.grpc if protocol == "grpc" else tritonclient.http
    parts = []
    with triton.InferenceServerClient(url) as client:
        for start in range(0, len(samples), PIECE):
            lead = min(start, LEAD)
            piece = samples[np.newaxis, start - lead : start + PIECE]
            audio = triton.InferInput("AUDIO", piece.shape, "FP32")
            audio.set_data_from_numpy(np.ascontiguousarray(piece))
            speech = client.infer("silero_vad", [audio]).as_numpy("SPEECH")
            parts.append(speech[0, lead // WINDOW :])
    return np.concatenate([np.zeros(0, np.float32), *parts])


def find_segments(probabilities: Array) -> list[tuple[float, float]]:
    """Begin and end in seconds of each time that somebody speaks."""
    speech = np.concatenate([[0], probabilities >= THRESHOLD, [0]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(speech)).reshape(-1, 2) * (WINDOW / RATE)
    segments: list[tuple[float, float]] = []
    for begin, end in edges.tolist():
        if segments and begin - segments[-1][1] <= LONGEST_PAUSE:
            begin = segments.pop()[0]  # noqa: PLW2901 - the segment goes on
        segments.append((begin, end))
    return [(begin, end) for begin, end in segments if end - begin >= SHORTEST_SPEECH]


def agreement(probabilities: Array, rttm: Path) -> float:
    """The share of all windows in which the model and a reference (an RTTM file) say the same."""
    centres = (np.arange(len(probabilities)) + 0.5) * WINDOW / RATE
    spoken = np.zeros(len(probabilities), bool)
    for line in rttm.read_text(encoding="utf-8").splitlines():
        fields = line.split()
        if fields and fields[0] == "SPEAKER":
            begin, seconds = float(fields[3]), float(fields[4])
            spoken |= (centres >= begin) & (centres < begin + seconds)
    return float(np.mean((probabilities >= THRESHOLD) == spoken))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Find out when somebody speaks.")
    parser.add_argument("wav", nargs="?", type=Path, default=SAMPLE, help="a PCM WAV file; default: the sample")
    parser.add_argument("--reference", type=Path, help="an RTTM file to compare with; default: beside the WAV file")
    parser.add_argument("--protocol", choices=PORTS, default="http")
    parser.add_argument("--url", help="HOST:PORT of the gateway; default: localhost, 8080 for HTTP and 8081 for gRPC")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    url = options.url or f"localhost:{PORTS[options.protocol]}"
    reference = options.reference or options.wav.with_suffix(".rttm")
    try:
        samples = read_wav(options.wav)
    except (OSError, EOFError, KeyError, wave.Error) as error:
        sys.exit(f"{options.wav}: cannot be read as a PCM WAV file: {error}")
    try:
        probabilities = speech_probabilities(samples, options.protocol, url)
    except (OSError, InferenceServerException) as error:
        sys.exit(f"silero_vad at {url} did not answer: {error}")
    segments = find_segments(probabilities)
    agrees = agreement(probabilities, reference) if len(probabilities) and reference.is_file() else None
    if options.json:
        values = [round(p, 4) for p in probabilities.tolist()]
        seconds = len(samples) / RATE
        print(json.dumps({"seconds": seconds, "probabilities": values, "segments": segments, "agreement": agrees}))
        return
    for begin, end in segments:
        print(f"{begin:7.2f} s to {end:7.2f} s")
    if agrees is not None:
        print(f"{agrees:.1%} of the windows agree with {reference.name}.")


if __name__ == "__main__":
    main()
