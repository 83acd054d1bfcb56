"""The transcription client, without a server: its windows, its decoder and its command line."""

import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from examples.transcribe import (
    FRAME,
    HOP,
    LOWEST_PITCH,
    MARGIN,
    MELODY,
    RATE,
    Array,
    Note,
    cut,
    decode,
    join,
    read_wav,
    same_notes,
    synthesise,
)

SCRIPT = Path(__file__).parents[2] / "examples" / "transcribe.py"


def write_wav(path: Path, samples: Array, rate: int, width: int = 2, channels: int = 1) -> Path:
    scaled = np.round(np.repeat(samples, channels) * (2 ** (8 * width - 1) - 1)).astype(np.int64)
    if width == 1:
        scaled += 128
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(scaled.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width].tobytes())
    return path


def sine(rate: int, seconds: float = 0.5) -> Array:
    samples: Array = 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(rate * seconds)) / rate)
    return samples


@pytest.mark.parametrize("seconds", [0.0, 0.1, 1.0, 1.7, 8.0, 60.0])
def test_windows_cut_and_joined_cover_every_sample_once(seconds: float) -> None:
    samples = np.arange(1, round(seconds * RATE) + 1, dtype=np.float32)
    windows = cut(samples)
    assert windows.shape[1:] == (43844, 1)
    # A frame stands for its first sample here, so joined frames give back the samples at the frames' times.
    frames = windows[:, : 172 * FRAME : FRAME, :]
    joined, times = join(frames, len(samples))
    assert np.array_equal(joined[:, 0], np.round(times * RATE) + 1)
    assert np.all(np.diff(times) > 0)
    assert np.all(np.diff(times) <= FRAME / RATE + 1e-9)


def test_times_of_frames_follow_the_windows() -> None:
    _, times = join(np.zeros((2, 172, 88)), 2 * HOP)
    kept = 172 - 2 * MARGIN
    assert times[0] == 0.0
    assert times[kept] == HOP / RATE


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_pcm_width_is_read(tmp_path: Path, width: int, channels: int) -> None:
    samples = read_wav(write_wav(tmp_path / "a.wav", sine(RATE), RATE, width, channels))
    assert samples.dtype == np.float32
    assert np.max(np.abs(samples - sine(RATE))) < (0.02 if width == 1 else 1e-4)


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_other_rates_are_resampled_without_changing_the_pitch(tmp_path: Path, rate: int) -> None:
    samples = read_wav(write_wav(tmp_path / "a.wav", sine(rate, 1.0), rate))
    assert len(samples) == RATE
    inner = slice(RATE // 10, -RATE // 10)  # at the ends the spectrum has no neighbours
    assert np.max(np.abs(samples[inner] - sine(RATE, 1.0)[inner])) < 0.01


def test_an_empty_file_has_no_samples(tmp_path: Path) -> None:
    assert len(read_wav(write_wav(tmp_path / "a.wav", np.zeros(0), 44100))) == 0


def posteriorgrams(*notes: tuple[int, int, int], frames: int = 300) -> tuple[Array, Array, Array]:
    """Ideal ones: (pitch, first frame, last frame)."""
    note, onset = np.zeros((2, frames, 88))
    for pitch, begin, end in notes:
        note[begin:end, pitch - LOWEST_PITCH] = 0.9
        onset[begin, pitch - LOWEST_PITCH] = 0.8
    return note, onset, np.arange(frames) * FRAME / RATE


def decoded(*notes: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    per_second = RATE / FRAME
    found = decode(*posteriorgrams(*notes))
    return [(n.pitch, round(n.onset * per_second), round((n.onset + n.duration) * per_second)) for n in found]


def test_ideal_posteriorgrams_give_their_notes() -> None:
    notes = [(60, 0, 40), (64, 10, 60), (60, 100, 150), (108, 120, 300), (21, 200, 240)]
    assert decoded(*notes) == notes


def test_a_repeated_note_is_two_notes() -> None:
    assert decoded((60, 0, 50), (60, 50, 100)) == [(60, 0, 50), (60, 50, 100)]


def test_a_note_too_short_is_dropped() -> None:
    assert decoded((60, 10, 21), (62, 10, 22)) == [(62, 10, 22)]


def test_a_neighbour_in_pitch_is_not_a_second_note() -> None:
    note, onset, times = posteriorgrams((60, 50, 100))
    note[50:100, 61 - LOWEST_PITCH] = 0.4
    onset[49, 61 - LOWEST_PITCH] = 0.6
    assert [n.pitch for n in decode(note, onset, times)] == [60]


def test_a_gap_shorter_than_the_patience_does_not_end_a_note() -> None:
    note, onset, times = posteriorgrams((60, 0, 100))
    note[40:50] = 0
    assert len(decode(note, onset, times)) == 1
    assert decode(note, onset, times)[0].duration == pytest.approx(100 * FRAME / RATE)
    note[40:51] = 0
    assert decode(note, onset, times)[0].duration == pytest.approx(40 * FRAME / RATE)


def test_silence_has_no_notes() -> None:
    assert decode(*posteriorgrams()) == []
    assert decode(np.zeros((0, 88)), np.zeros((0, 88)), np.zeros(0)) == []


def test_the_melody_knows_its_notes() -> None:
    samples, notes = synthesise(MELODY)
    assert len(samples) == 8 * RATE
    assert np.max(np.abs(samples)) <= 1
    assert [note.name for note in notes[:5]] == ["E4", "E4", "F4", "G4", "G4"]
    assert notes[-1] == Note(62, 7.0, 1.0)


def test_notes_are_the_same_up_to_the_tolerance() -> None:
    notes = [Note(60, 0.0, 1.0), Note(62, 1.0, 1.0)]
    assert same_notes([Note(60, 0.04, 0.5), Note(62, 1.0, 2.0)], notes)
    assert not same_notes([Note(60, 0.06, 1.0), Note(62, 1.0, 1.0)], notes)
    assert not same_notes([Note(62, 0.0, 1.0), Note(60, 1.0, 1.0)], notes)
    assert not same_notes(notes[:1], notes)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_server_that_is_not_there_is_one_line(protocol: str) -> None:
    command = [sys.executable, str(SCRIPT), "--protocol", protocol, "--url", "127.0.0.1:1"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("basic_pitch_onnx at 127.0.0.1:1 did not answer: ")
    assert result.stderr.count("\n") == 1


def test_a_file_that_is_no_wav_is_one_line() -> None:
    result = subprocess.run([sys.executable, str(SCRIPT), str(SCRIPT)], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr == f"{SCRIPT}: cannot be read as a PCM WAV file: file does not start with RIFF id\n"
