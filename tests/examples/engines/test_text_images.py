"""Rendered text: what is drawn, how it reaches the models, and how their answers are compared."""

import numpy as np
import pytest
from PIL import Image

from examples.engines.text_images import (
    LINE_HEIGHT,
    LINE_WIDTH,
    PAGES,
    Array,
    line,
    line_calibration,
    line_verification,
    page,
    page_calibration,
    page_verification,
    pixels,
    same_text,
    same_way_up,
)


def test_pixels_are_blue_green_red_from_minus_one_to_one() -> None:
    image = Image.new("RGB", (3, 2), (255, 0, 51))
    found = pixels(image)
    assert found.shape == (3, 2, 3)
    assert found.dtype == np.float32
    assert found[:, 0, 0] == pytest.approx([-0.6, -1.0, 1.0])


def test_pages_come_in_sizes_that_the_detector_can_halve() -> None:
    found = [batch["x"] for batch in page_calibration()]
    assert [batch.shape for batch in found] == [(4, 3, height, width) for height, width in PAGES]
    assert all(size % 32 == 0 for batch in found for size in batch.shape[2:])
    assert all(batch.dtype == np.float32 and np.abs(batch).max() <= 1 for batch in found)


def test_lines_fit_the_classifier_and_every_second_one_is_upside_down() -> None:
    found = [batch["x"] for batch in line_calibration()]
    assert [batch.shape for batch in found] == [(16, 3, LINE_HEIGHT, LINE_WIDTH)] * 4
    upright, turned = (line(np.random.default_rng(5), upside_down=way) for way in (False, True))
    assert upright.size == turned.size
    difference = np.asarray(turned.transpose(Image.Transpose.ROTATE_180), int) - np.asarray(upright, int)
    assert np.abs(difference).max() <= 2  # resized from the other side


def test_the_same_seed_draws_the_same_and_verification_is_other_data() -> None:
    one, again = (next(page_calibration())["x"] for _ in range(2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, next(page_verification())["x"][:4])
    assert not np.array_equal(next(line_calibration())["x"], next(line_verification())["x"])


def test_a_page_has_light_and_dark_on_it() -> None:
    for seed in range(8):
        grey = np.asarray(page(np.random.default_rng(seed), 256, 256).convert("L"), float)
        assert np.percentile(grey, 99.5) - np.percentile(grey, 0.5) > 60


def maps(*probabilities: Array) -> list[dict[str, Array]]:
    return [{"map": each} for each in probabilities]


def test_the_same_text_is_the_share_of_pixels_that_both_find() -> None:
    left, wide, nothing = np.zeros((3, 1, 1, 4, 4))
    left[..., :2] = 0.9
    wide[..., :3] = 0.31
    assert same_text(maps(left), maps(left), []) == 1.0
    assert same_text(maps(left), maps(wide), []) == pytest.approx(2 / 3)
    assert same_text(maps(left, nothing), maps(nothing, wide), []) == 0.0
    assert same_text(maps(nothing), maps(nothing), []) == 1.0


def test_the_same_way_up_is_the_share_of_lines_of_which_both_say_the_same() -> None:
    one = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    other = np.array([[0.6, 0.4], [0.2, 0.8], [0.4, 0.6], [0.3, 0.7]])
    assert same_way_up(maps(one), maps(one), []) == 1.0
    assert same_way_up(maps(one[:2], one[2:]), maps(other[:2], other[2:]), []) == 0.75
