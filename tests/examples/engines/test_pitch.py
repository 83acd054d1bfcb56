"""Synthesised music, and how the notes that two models find are compared."""

import numpy as np
import pytest

from examples.engines.pitch import BATCH, WINDOW, Array, calibration, music, same_notes, verification


def test_windows_are_audio_as_the_model_takes_it() -> None:
    found = [batch["input_2"] for batch in calibration()]
    assert [batch.shape for batch in found] == [(BATCH, WINDOW, 1)] * 4
    assert all(batch.dtype == np.float32 and np.abs(batch).max() <= 1 for batch in found)


def test_one_window_is_quiet_but_not_silent_and_all_others_are_loud() -> None:
    loudness = np.concatenate([np.abs(batch["input_2"]).max(axis=(1, 2)) for batch in calibration()])
    assert np.flatnonzero(loudness < 0.001).tolist() == [BATCH - 1]
    assert loudness.min() > 0
    assert np.sort(loudness)[1] > 0.05


def test_the_same_seed_plays_the_same_and_verification_is_other_music() -> None:
    one, again = (next(calibration())["input_2"] for _ in range(2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, next(verification())["input_2"])


def test_music_has_partials_and_not_noise_alone() -> None:
    spectrum = np.abs(np.fft.rfft(music(np.random.default_rng(0))))
    assert np.sort(spectrum)[-20:].mean() > 50 * np.median(spectrum)


def notes(*grams: Array) -> list[dict[str, Array]]:
    return [{"note": each, "onset": np.zeros_like(each)} for each in grams]


def test_the_same_notes_are_measured_by_the_keys_that_sound() -> None:
    one, other, silence = np.zeros((3, 1, 10, 88))
    one[0, :8, 40], other[0, 2:8, 40] = 0.9, 0.6
    assert same_notes(notes(one), notes(one), []) == 1.0
    assert same_notes(notes(one), notes(other), []) == pytest.approx(2 * 6 / (8 + 6))
    assert same_notes(notes(one), notes(silence), []) == 0.0
    assert same_notes(notes(silence), notes(silence), []) == 1.0
