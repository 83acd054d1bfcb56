"""The speech client, without a server: its segments, its comparison and its command line."""

import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from examples.detect_speech import RATE, WINDOW, agreement, find_segments, read_wav

SCRIPT = Path(__file__).parents[2] / "examples" / "detect_speech.py"


def windows(*runs: tuple[float, int]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Probabilities: each value for as many windows."""
    return np.concatenate([np.full(count, value) for value, count in runs])


def found(*runs: tuple[float, int]) -> list[tuple[int, int]]:
    """The segments, in windows."""
    return [(round(a * RATE / WINDOW), round(b * RATE / WINDOW)) for a, b in find_segments(windows(*runs))]


def test_a_segment_lasts_while_somebody_speaks() -> None:
    assert found((0.1, 20), (0.9, 30), (0.2, 20)) == [(20, 50)]


def test_speech_at_the_very_beginning_and_end_counts() -> None:
    assert found((0.9, 30), (0.1, 30), (0.9, 30)) == [(0, 30), (60, 90)]


def test_a_short_pause_is_no_end() -> None:
    assert found((0.9, 30), (0.1, 9), (0.9, 30)) == [(0, 69)]
    assert found((0.9, 30), (0.1, 10), (0.9, 30)) == [(0, 30), (40, 70)]


def test_a_click_is_no_speech() -> None:
    assert found((0.1, 20), (0.9, 6), (0.1, 20)) == []
    assert found((0.1, 20), (0.9, 7), (0.1, 20)) == [(20, 27)]


def test_silence_and_nothing_have_no_segments() -> None:
    assert found((0.0, 50)) == []
    assert find_segments(np.zeros(0)) == []


def test_agreement_is_the_share_of_windows_that_are_as_labelled(tmp_path: Path) -> None:
    rttm = tmp_path / "a.rttm"
    rttm.write_text("SPEAKER a 1 0.32 0.16 <NA> <NA> x <NA> <NA>\n\nSPEAKER a 1 0.40 0.24 <NA> <NA> y <NA> <NA>\n")
    assert agreement(windows((0.1, 10), (0.9, 10), (0.1, 10)), rttm) == 1.0
    assert agreement(windows((0.1, 10), (0.9, 5), (0.1, 15)), rttm) == pytest.approx(25 / 30)


def test_audio_is_read_as_mono_at_16_khz(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(np.tile(np.array([16384, -16384], "<i2"), 4000).tobytes())
    samples = read_wav(path)
    assert samples.shape == (8000,)
    assert np.max(np.abs(samples)) < 1e-6  # left and right cancel out


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_server_that_is_not_there_is_one_line(tmp_path: Path, protocol: str) -> None:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(bytes(3200))
    command = [sys.executable, str(SCRIPT), str(path), "--protocol", protocol, "--url", "127.0.0.1:1"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("silero_vad at 127.0.0.1:1 did not answer: ")
    assert result.stderr.count("\n") == 1


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), str(tmp_path / "nothing.wav")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "nothing.wav: cannot be read as a PCM WAV file" in result.stderr
    assert result.stderr.count("\n") == 1
