"""The classifier that `scaffold` writes, run as Triton runs it."""

from __future__ import annotations

import importlib.util
import io
import struct
import sys
import zlib
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from backends.common.fake import FakePythonBackend, FakeRequest, FakeTensor
from gateway.repository import scaffold as scaffolding

TEMPLATE = Path(scaffolding.__file__).parent / "templates" / "image_classifier"
Pixels = npt.NDArray[np.uint8]
GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
COLOURS = {
    "black": (10, 0, 5),
    "grey": (120, 130, 125),
    "white": (250, 255, 245),
    "red": (220, 30, 20),
    "yellow": (240, 230, 10),
    "green": (10, 200, 40),
    "cyan": (0, 220, 240),
    "blue": (20, 10, 230),
    "magenta": (230, 20, 240),
}


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module as Triton imports it, without Pillow."""
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", FakePythonBackend(TEMPLATE))
    monkeypatch.setitem(sys.modules, "PIL", None)
    spec = importlib.util.spec_from_file_location("image_classifier_model", TEMPLATE / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def classifier(model: ModuleType) -> Any:
    made = model.TritonPythonModel()
    made.initialize({"model_repository": str(TEMPLATE)})
    return made


def png(pixels: Pixels, colours: int = RGB, filters: tuple[int, ...] = (0,), palette: bytes = b"") -> bytes:
    """A PNG of these pixels [height, width, channels]; the rows are filtered as `filters` says, in turn."""
    height, width, channels = pixels.shape
    rows, above = b"", np.zeros((width, channels), int)
    for number, row in enumerate(pixels.astype(int)):
        kind = filters[number % len(filters)]
        rows += bytes([kind]) + filtered(kind, row, above).astype(np.uint8).tobytes()
        above = row
    head = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)
    chunks = [
        (b"IHDR", head),
        *([(b"PLTE", palette)] if palette else []),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def filtered(kind: int, row: npt.NDArray[Any], above: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What PNG's filters leave of a row [width, channels], modulo 256."""
    left, corner = (np.vstack([np.zeros((1, each.shape[1]), int), each[:-1]]) for each in (row, above))
    guess = left + above - corner
    near = np.stack([np.abs(guess - each) for each in (left, above, corner)]).argmin(axis=0)  # the first of equals
    paeth = np.choose(near, [left, above, corner])
    predicted: npt.NDArray[Any] = [0 * row, left, above, (left + above) // 2, paeth][kind]
    return np.asarray((row - predicted) % 256)


def plain(colour: tuple[int, int, int], height: int = 20, width: int = 30) -> Pixels:
    return np.full((height, width, 3), colour, np.uint8)


def noise(channels: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (17, 23, channels), np.uint8)


def ask(classifier: Any, *images: bytes) -> tuple[list[str], list[float]]:
    """The labels and scores of the last of these images, all in one request."""
    array = np.array([[image] for image in images], object)
    (response,) = classifier.execute([FakeRequest([FakeTensor("IMAGE", array)])])
    assert response.error is None, response.error.message
    labels, scores = (response.outputs[name].as_numpy() for name in ("LABELS", "SCORES"))
    assert (labels.shape, scores.shape, scores.dtype) == ((len(images), 5), (len(images), 5), np.float32)
    return [label.decode() for label in labels[-1]], scores[-1].tolist()


def refusal(classifier: Any, image: bytes) -> str:
    (response,) = classifier.execute([FakeRequest([FakeTensor("IMAGE", np.array([[image]], object))])])
    assert response.error.code == "INVALID_ARG"
    return str(response.error.message)


@pytest.mark.parametrize("name", COLOURS)
def test_a_plain_image_is_called_by_its_colour(classifier: Any, name: str) -> None:
    labels, scores = ask(classifier, png(plain(COLOURS[name])))
    assert labels[0] == name
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.5
    assert sum(scores) <= 1.001


@pytest.mark.parametrize(
    ("name", "axes"), [("vertical stripes", [1]), ("horizontal stripes", [0]), ("checkerboard", [0, 1])]
)
def test_patterns_are_told_apart(classifier: Any, name: str, axes: list[int]) -> None:
    bright = np.indices((96, 96))[axes].__floordiv__(12).sum(axis=0) % 2
    image = np.where(bright[..., None] == 1, 255, 0).astype(np.uint8).repeat(3, axis=2)
    assert ask(classifier, png(image))[0][0] == name


def test_the_images_of_all_requests_run_as_one_batch_and_a_bad_one_fails_alone(
    classifier: Any, model: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, classify = [], model.classify
    monkeypatch.setattr(model, "classify", lambda batch: sizes.append(len(batch)) or classify(batch))  # type: ignore[func-returns-value]  # counts on the way
    red, blue = png(plain(COLOURS["red"])), png(plain(COLOURS["blue"]))
    batches = ([[red]], [[b"no image"]], [[blue], [red]])
    requests = [FakeRequest([FakeTensor("IMAGE", np.array(batch, object))]) for batch in batches]
    first, second, third = classifier.execute(requests)
    assert first.outputs["LABELS"].as_numpy()[:, 0].tolist() == [b"red"]
    assert "neither PNG nor binary PPM" in second.error.message
    assert third.outputs["LABELS"].as_numpy()[:, 0].tolist() == [b"blue", b"red"]
    assert sizes == [3]


@pytest.mark.parametrize("kind", range(5))
@pytest.mark.parametrize(("colours", "channels"), [(GREY, 1), (RGB, 3)])
def test_every_filter_of_png_is_undone(model: ModuleType, kind: int, colours: int, channels: int) -> None:
    pixels = noise(channels)
    decoded = model.decode(png(pixels, colours, (kind,)))
    np.testing.assert_array_equal(decoded, pixels.repeat(3 // channels, axis=2))


def test_a_png_may_change_its_filter_in_every_row(model: ModuleType) -> None:
    pixels = noise(3)
    np.testing.assert_array_equal(model.decode(png(pixels, RGB, (4, 3, 2, 1, 0))), pixels)


def test_what_is_transparent_becomes_white(model: ModuleType) -> None:
    pixels = np.array([[[200, 100, 0, 255], [200, 100, 0, 0], [200, 100, 0, 51]]], np.uint8)
    decoded = model.decode(png(pixels, RGB_ALPHA, (4,)))
    assert decoded.tolist() == [[[200, 100, 0], [255, 255, 255], [244, 224, 204]]]
    grey = np.array([[[200, 255], [200, 0]]], np.uint8)
    assert model.decode(png(grey, GREY_ALPHA)).tolist() == [[[200] * 3, [255] * 3]]


def test_a_palette_gives_the_colours(model: ModuleType) -> None:
    pixels = np.array([[[0], [1], [1]]], np.uint8)
    decoded = model.decode(png(pixels, PALETTE, palette=bytes([1, 2, 3, 4, 5, 6])))
    assert decoded.tolist() == [[[1, 2, 3], [4, 5, 6], [4, 5, 6]]]


def test_binary_ppm_and_pgm_are_read(model: ModuleType) -> None:
    pixels = noise(3)
    head = b"P6\n# by hand\n23 17\n255\n"
    np.testing.assert_array_equal(model.decode(head + pixels.tobytes()), pixels)
    assert model.decode(b"P5 2 1 255 \x07\x08").tolist() == [[[7] * 3, [8] * 3]]


GOOD = png(noise(3))


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (b"", "neither PNG nor binary PPM"),
        (b"\xff\xd8\xff\xe0 a JPEG", "other formats need Pillow"),
        (GOOD[:8], "a damaged PNG"),
        (GOOD[:60], "a damaged PNG|cut short"),
        (GOOD[:200], "cut short"),
        (GOOD[:41] + b"\0\0\0\0" + GOOD[45:], "a damaged PNG"),
        (png(noise(3), filters=(0,)).replace(GOOD[8:33], png(plain((0, 0, 0), 9000, 2))[8:33]), "cut short"),
        (GOOD[:24] + b"\x10" + GOOD[25:], "that needs Pillow"),
        (GOOD[:28] + b"\x01" + GOOD[29:], "that needs Pillow"),
        (GOOD[:16] + b"\x7f\xff\xff\xff" * 2 + GOOD[24:], "pixels; send at least 1"),
        (GOOD[:16] + b"\0\0\0\0" + GOOD[20:], "has 0 x 17 pixels"),
        (png(np.array([[[9]]], np.uint8), PALETTE, palette=bytes(6)), "palette lacks colours"),
        (b"P6 2 2 255 \x01", "IMAGE is cut short"),
        (b"P6 2 2 65535 " + bytes(24), "8 bits a channel"),
        (b"P6 99999 99999 255 \x01", "pixels; send at least 1"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(classifier: Any, image: bytes, reason: str) -> None:
    message = refusal(classifier, image)
    assert any(each in message for each in reason.split("|")), message


def test_rows_of_an_unknown_filter_are_refused(model: ModuleType) -> None:
    with pytest.raises(ValueError, match="no such filter"):
        model.unfilter(5, np.zeros((2, 3), np.uint8), np.zeros((2, 3), np.uint8))


def test_pillow_reads_everything_where_it_is_installed(
    model: ModuleType, classifier: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = plain(COLOURS["green"])

    class Opened(SimpleNamespace):
        size = (30, 20)

        def __enter__(self) -> Opened:
            return self

        def __exit__(self, *_: object) -> None: ...

        def convert(self, mode: str) -> Pixels:
            assert mode == "RGB"
            return pixels

    def opened(file: io.BytesIO) -> Opened:
        if file.getvalue() != b"a JPEG":
            raise OSError("cannot identify image file")
        return Opened()

    pillow = SimpleNamespace(open=opened, DecompressionBombError=type("DecompressionBombError", (Exception,), {}))
    monkeypatch.setattr(model, "Image", pillow)
    monkeypatch.setattr(model, "ImageOps", SimpleNamespace(exif_transpose=lambda image: image), raising=False)
    assert ask(classifier, b"a JPEG")[0][0] == "green"
    assert "IMAGE cannot be read: cannot identify image file" in refusal(classifier, b"?")


def test_images_are_resized_between_pixel_centres(model: ModuleType) -> None:
    ramp = np.tile(np.arange(8, dtype=np.float32)[None, :, None], (8, 1, 3))
    resized = model.resize(ramp, 4)
    assert resized[0, :, 0].tolist() == [0.5, 2.5, 4.5, 6.5]
    assert model.resize(np.ones((1, 1, 3), np.float32), 4).tolist() == np.ones((4, 4, 3)).tolist()
