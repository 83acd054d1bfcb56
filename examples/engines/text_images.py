"""What PP-OCR's detector and classifier are calibrated, verified and judged with: rendered text, always the same.

The detector finds text on a page: pixels in, and for each the probability that it belongs to text. The classifier says
whether a line of text stands upright or upside down. Both take pixels as BGR, from -1 to 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Array = npt.NDArray[Any]
Batch = Mapping[str, Array]
Random = np.random.Generator

INPUT = "x"  # of both models
PAGES = ((320, 320), (256, 416), (416, 256))  # height and width; the detector halves them five times
LINE_HEIGHT, LINE_WIDTH = 48, 192
IS_TEXT = 0.3  # from this probability on, a pixel belongs to text, as PP-OCR takes it

TEXT = """
    total amount due invoice number date street house city telephone open closed daily menu coffee tea bread soup fresh
    water street exit platform arrival departure ticket single return adult child price tax receipt thank you welcome
    caution wet floor do not enter push pull north south east west room floor hall chapter figure table contents index
    model engine serial made in weight net best before keep dry this side up fragile warning high voltage
"""


def page_calibration() -> Iterator[Batch]:
    """Pages for the detector: FP32 [4, 3, height, width], of each size once."""
    return _pages(seed=1, count=4)


def page_verification() -> Iterator[Batch]:
    """Other pages, of each size once."""
    return _pages(seed=2, count=8)


def line_calibration() -> Iterator[Batch]:
    """Lines of text for the classifier, half of them upside down: FP32 [16, 3, 48, 192], four times."""
    return _lines(seed=3, batches=4)


def line_verification() -> Iterator[Batch]:
    """Other lines, every second one upside down."""
    return _lines(seed=4, batches=16)


def same_text(original: Sequence[Batch], result: Sequence[Batch], inputs: Sequence[Batch]) -> float:  # noqa: ARG001
    """Where both detectors see text, as a share of where either does: the intersection over the union of pixels."""
    both = either = 0
    for one, other in zip(original, result, strict=True):
        found, again = (next(iter(batch.values())) >= IS_TEXT for batch in (one, other))
        both += int(np.sum(found & again))
        either += int(np.sum(found | again))
    return both / either if either else 1.0


def same_way_up(original: Sequence[Batch], result: Sequence[Batch], inputs: Sequence[Batch]) -> float:  # noqa: ARG001
    """The share of lines of which both classifiers say the same."""
    same = [
        next(iter(one.values())).argmax(axis=-1) == next(iter(other.values())).argmax(axis=-1)
        for one, other in zip(original, result, strict=True)
    ]
    return float(np.concatenate(same).mean())


def page(random: Random, height: int, width: int) -> Image.Image:
    """A page with lines of text of many sizes, colours and slants on a background that is not even."""
    paper, ink = _colours(random)
    image = _background(random, height, width, paper)
    y = int(random.integers(4, 24))
    while y < height - 24:
        text = _text(random, int(random.integers(1, 5)))
        mask = _written(random, text, int(random.integers(12, 40)))
        mask = mask.rotate(float(random.normal(0, 2)), Image.Resampling.BILINEAR, expand=True)
        image.paste(ink, (int(random.integers(0, width // 3)), y), mask)
        y += mask.height + int(random.integers(2, 30))
    return _photographed(random, image)


def line(random: Random, upside_down: bool) -> Image.Image:
    """One line of text as a detector cuts it out, 48 high and as wide as it is then, but at most 192."""
    paper, ink = _colours(random)
    mask = _written(random, _text(random, int(random.integers(1, 4))), int(random.integers(16, 48)))
    margin = int(random.integers(1, 6))
    image = _background(random, mask.height + 2 * margin, mask.width + 2 * margin, paper)
    image.paste(ink, (margin, margin), mask)
    image = _photographed(random, image)
    if upside_down:
        image = image.transpose(Image.Transpose.ROTATE_180)
    width = min(LINE_WIDTH, -(-image.width * LINE_HEIGHT // image.height))
    return image.resize((width, LINE_HEIGHT), Image.Resampling.BILINEAR)


def pixels(image: Image.Image) -> Array:
    """An RGB image as the models take it: FP32 [3, height, width], BGR, from -1 to 1."""
    channels: Array = np.asarray(image, np.float32).transpose(2, 0, 1)[::-1] / 127.5 - 1
    return channels


def _pages(seed: int, count: int) -> Iterator[Batch]:
    random = np.random.default_rng(seed)
    for height, width in PAGES:
        yield {INPUT: np.stack([pixels(page(random, height, width)) for _ in range(count)])}


def _lines(seed: int, batches: int, size: int = 16) -> Iterator[Batch]:
    random = np.random.default_rng(seed)
    for _ in range(batches):
        batch = np.zeros((size, 3, LINE_HEIGHT, LINE_WIDTH), np.float32)  # what a line leaves free is grey
        for index in range(size):
            image = pixels(line(random, upside_down=index % 2 == 1))
            batch[index, :, :, : image.shape[2]] = image
        yield {INPUT: batch}


def _text(random: Random, words: int) -> str:
    chosen = [str(word) for word in random.choice(TEXT.split(), words)]
    if random.random() < 0.3:
        chosen.append(f"{random.integers(0, 10_000) / 100:.2f}")
    style = (str.lower, str.title, str.upper)[random.integers(3)]
    return style(" ".join(chosen))


def _written(random: Random, text: str, size: int) -> Image.Image:
    """The text as a mask, no larger than the text is."""
    font = ImageFont.load_default(size)
    bold = int(random.random() < 0.3)
    left, top, right, bottom = font.getbbox(text, stroke_width=bold)
    mask = Image.new("L", (int(right - left) + 1, int(bottom - top) + 1))
    ImageDraw.Draw(mask).text((-left, -top), text, 255, font, stroke_width=bold)
    return mask


def _colours(random: Random) -> tuple[Array, tuple[int, ...]]:
    """Paper and ink: one of them light and the other dark."""
    light, dark = random.integers(170, 256, 3), random.integers(0, 90, 3)
    paper, ink = (light, dark) if random.random() < 0.7 else (dark, light)
    return paper, tuple(int(value) for value in ink)


def _background(random: Random, height: int, width: int, paper: Array) -> Image.Image:
    """Paper that is lit from one side."""
    slope = random.normal(0, 12, 2)
    rows, columns = np.linspace(-1, 1, height)[:, None, None], np.linspace(-1, 1, width)[None, :, None]
    lit = paper + slope[0] * rows + slope[1] * columns
    return Image.fromarray(lit.clip(0, 255).astype(np.uint8))


def _photographed(random: Random, image: Image.Image) -> Image.Image:
    """A little out of focus, and with the noise of a sensor."""
    image = image.filter(ImageFilter.GaussianBlur(float(random.uniform(0, 1))))
    grain = np.asarray(image) + random.normal(0, float(random.uniform(0, 8)), (image.height, image.width, 3))
    return Image.fromarray(grain.clip(0, 255).astype(np.uint8))
