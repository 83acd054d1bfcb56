"""An image classifier for Triton's Python backend: an encoded image in, its five likeliest labels out.

    IMAGE --> preprocess: decode, resize, normalise --> classify --> postprocess: softmax, top five, labels --> LABELS
                                                        ^ put your network here                                 SCORES

Triton starts one process for each instance, calls `initialize` once, and then `execute` with all requests of a dynamic
batch. Everything runs on numpy alone. With Pillow (`pip install pillow`) it reads JPEG, WebP and the rest as well.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import triton_python_backend_utils as pb_utils

try:
    from PIL import Image, ImageOps  # only where it is installed
except ImportError:
    Image = None

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

SIZE = 64  # pixels, of both sides
MEAN = np.array([0.5, 0.5, 0.5], np.float32)  # of red, green and blue, as your network was trained
SCALE = np.array([0.5, 0.5, 0.5], np.float32)
TOP = 5
MOST_PIXELS = 25_000_000  # a small file can claim to be a huge image


# ----------------------------------------------------------------------------------------------------------------------
# The network. Replace `classify` by your own, and labels.txt by its classes.
#
# A network in ONNX beside this file, which is loaded once for each process:
#     SESSION = onnxruntime.InferenceSession(str(Path(__file__).with_name("network.onnx")))
# and in `classify`:
#     return SESSION.run(None, {"input": batch})[0]
#
# A model that Triton serves already, so that it has its own batches and GPU:
#     request = pb_utils.InferenceRequest("resnet50", ["logits"], [pb_utils.Tensor("input", batch)])
#     response = request.exec()
#     if response.has_error():
#         raise pb_utils.TritonModelException(response.error().message())
#     return pb_utils.get_output_tensor_by_name(response, "logits").as_numpy()
# ----------------------------------------------------------------------------------------------------------------------
def classify(batch: Floats) -> Floats:
    """The logits [n, classes] of normalised images [n, 3, SIZE, SIZE].

    This one knows plain colours and a few patterns: the nearest of `PROTOTYPES`, which is one linear layer.
    """
    colour = batch.mean(axis=(2, 3))
    grey = batch.mean(axis=1)
    across = np.abs(np.diff(grey, axis=2)).mean(axis=(1, 2))
    down = np.abs(np.diff(grey, axis=1)).mean(axis=(1, 2))
    features = np.column_stack([colour, 8 * across, 8 * down])
    bias = -0.5 * (PROTOTYPES**2).sum(axis=1)
    return np.asarray(3 * (features @ PROTOTYPES.T + bias), np.float32)


# One row a line of labels.txt: red, green, blue, changes from left to right, changes from top to bottom.
PROTOTYPES = np.array(
    [
        [-1, -1, -1, 0, 0],  # black
        [0, 0, 0, 0, 0],  # grey
        [1, 1, 1, 0, 0],  # white
        [1, -1, -1, 0, 0],  # red
        [1, 1, -1, 0, 0],  # yellow
        [-1, 1, -1, 0, 0],  # green
        [-1, 1, 1, 0, 0],  # cyan
        [-1, -1, 1, 0, 0],  # blue
        [1, -1, 1, 0, 0],  # magenta
        [0, 0, 0, 2, 0],  # vertical stripes
        [0, 0, 0, 0, 2],  # horizontal stripes
        [0, 0, 0, 2, 2],  # checkerboard
    ],
    np.float32,
)


class TritonPythonModel:
    """What Triton runs."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load what every request needs: here the labels, and with a network of your own its weights."""
        text = (Path(args["model_repository"]) / "labels.txt").read_text("utf-8")
        self.labels = np.array([line.strip().encode() for line in text.splitlines() if line.strip()], np.object_)

    def execute(self, requests: list[Any]) -> list[Any]:
        """One response for each request, in order. A request that cannot be read fails alone."""
        read = [self._read(request) for request in requests]
        batches = [each for each in read if isinstance(each, np.ndarray)]
        if not batches:
            return [failure(str(each)) for each in read]
        labels, scores = postprocess(classify(np.concatenate(batches)), self.labels)
        responses, start = [], 0
        for each in read:
            if not isinstance(each, np.ndarray):
                responses.append(failure(str(each)))
                continue
            rows = slice(start, start := start + len(each))
            outputs = [pb_utils.Tensor("LABELS", labels[rows]), pb_utils.Tensor("SCORES", scores[rows])]
            responses.append(pb_utils.InferenceResponse(output_tensors=outputs))
        return responses

    def _read(self, request: Any) -> Floats | str:
        """The images of one request as a batch, or what is wrong with them."""
        (tensor,) = request.inputs()
        try:
            return np.stack([preprocess(encoded) for encoded in tensor.as_numpy().reshape(-1)])
        except ValueError as error:
            return str(error)


def failure(message: str) -> Any:
    """The response to a request that cannot be answered; the client sees the message."""
    return pb_utils.InferenceResponse(
        output_tensors=[], error=pb_utils.TritonError(message, pb_utils.TritonError.INVALID_ARG)
    )


def preprocess(encoded: bytes) -> Floats:
    """From an encoded image to the network's input [3, SIZE, SIZE].

    Raises:
        ValueError: the image cannot be read.
    """
    image = resize(decode(encoded).astype(np.float32) / 255, SIZE)
    return np.asarray((image - MEAN) / SCALE, np.float32).transpose(2, 0, 1)


def postprocess(logits: Floats, labels: npt.NDArray[np.object_]) -> tuple[npt.NDArray[np.object_], Floats]:
    """The likeliest labels [n, TOP] and their probabilities [n, TOP], in falling order."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]
    return labels[best], np.take_along_axis(probabilities, best, axis=1).astype(np.float32)


def resize(image: Floats, size: int) -> Floats:
    """The image [height, width, 3] stretched to [size, size, 3], by bilinear interpolation."""
    for axis in (0, 1):
        length = image.shape[axis]
        position = np.clip((np.arange(size) + 0.5) * length / size - 0.5, 0, length - 1)
        before = position.astype(int)
        after = np.minimum(before + 1, length - 1)
        share = np.expand_dims(position - before, (1, 2) if axis == 0 else (0, 2)).astype(np.float32)
        image = image.take(before, axis) * (1 - share) + image.take(after, axis) * share
    return image


def decode(encoded: bytes) -> Pixels:
    """The pixels [height, width, 3] of an encoded image.

    Raises:
        ValueError: it is of a format that cannot be read here, or damaged.
    """
    if Image is not None:
        return decode_with_pillow(encoded)
    if encoded.startswith(PNG_SIGNATURE):
        return decode_png(encoded)
    if encoded[:2] in (b"P5", b"P6"):
        return decode_ppm(encoded)
    raise ValueError("IMAGE is neither PNG nor binary PPM; other formats need Pillow beside Triton: pip install pillow")


def decode_with_pillow(encoded: bytes) -> Pixels:
    """An image in any format that Pillow knows, turned as its camera says."""
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            check_size(*image.size)
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"IMAGE cannot be read: {error}") from None


def decode_ppm(encoded: bytes) -> Pixels:
    """A binary PPM or PGM with 8 bits a channel."""
    head = re.match(rb"P([56])" + 3 * rb"(?:\s|#[^\n]*\n)+(\d{1,9})" + rb"\s", encoded)
    if not head or int(head[4]) != 255:
        raise ValueError("IMAGE is no PPM or PGM with 8 bits a channel")
    width, height, channels = int(head[2]), int(head[3]), 3 if head[1] == b"6" else 1
    check_size(width, height)
    data = encoded[head.end() : head.end() + width * height * channels]
    if len(data) < width * height * channels:
        raise ValueError("IMAGE is cut short")
    return np.frombuffer(data, np.uint8).reshape(height, width, channels).repeat(3 // channels, axis=2)


PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
PNG_CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGB_ALPHA: 4}


def decode_png(encoded: bytes) -> Pixels:
    """A PNG with 8 bits a channel that is not interlaced; what is transparent becomes white."""
    chunks: dict[bytes, bytes] = {}
    for kind, content in png_chunks(encoded):
        chunks[kind] = chunks.get(kind, b"") + content
    head = chunks.get(b"IHDR", b"")
    if len(head) != 13 or b"IDAT" not in chunks:
        raise ValueError("IMAGE is a damaged PNG")
    width, height = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:8], "big")
    depth, colours, interlaced = head[8], head[9], head[12]
    if depth != 8 or interlaced or colours not in PNG_CHANNELS:
        raise ValueError(
            "IMAGE is a PNG that is interlaced or has not 8 bits a channel; that needs Pillow beside Triton"
        )
    check_size(width, height)
    pixels = png_pixels(chunks[b"IDAT"], width, height, PNG_CHANNELS[colours])
    if colours == PALETTE:
        palette = np.frombuffer(chunks.get(b"PLTE", b""), np.uint8)
        if len(palette) % 3 or len(palette) <= 3 * int(pixels.max()):
            raise ValueError("IMAGE is a PNG whose palette lacks colours")
        return np.asarray(palette.reshape(-1, 3)[pixels[..., 0]])
    if colours in (GREY_ALPHA, RGB_ALPHA):
        opacity = pixels[..., -1:] / 255
        pixels = np.rint(pixels[..., :-1] * opacity + 255 * (1 - opacity)).astype(np.uint8)
    return pixels.repeat(3 // pixels.shape[2], axis=2)


def png_chunks(encoded: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The name and the content of each chunk; a chunk is length, name, content, checksum."""
    position = len(PNG_SIGNATURE)
    while position + 12 <= len(encoded):
        length = int.from_bytes(encoded[position : position + 4], "big")
        yield encoded[position + 4 : position + 8], encoded[position + 8 : position + 8 + length]
        position += 12 + length


def png_pixels(packed: bytes, width: int, height: int, channels: int) -> Pixels:
    """The pixels [height, width, channels]; each row is one byte for its filter, and differences to its neighbours."""
    size = height * (1 + width * channels)
    try:
        data = zlib.decompressobj().decompress(packed, size)
    except zlib.error as error:
        raise ValueError(f"IMAGE is a damaged PNG: {error}") from None
    if len(data) < size:
        raise ValueError("IMAGE is a PNG that is cut short")
    rows = np.frombuffer(data, np.uint8).reshape(height, 1 + width * channels)
    image = np.zeros((height + 1, width, channels), np.uint8)  # with an empty row above
    for number, row in enumerate(rows):
        image[number + 1] = unfilter(row[0], row[1:].reshape(width, channels), image[number])
    return image[1:]


def unfilter(kind: int, row: Pixels, above: Pixels) -> Pixels:
    """One row of a PNG [width, channels] as it was before it was filtered; all sums are modulo 256."""
    if kind == 0:
        return row
    if kind == 1:
        return np.cumsum(row, axis=0, dtype=np.uint8)
    if kind == 2:
        return row + above
    if kind not in (3, 4):
        raise ValueError("IMAGE is a damaged PNG: no such filter")
    predict = average if kind == 3 else paeth
    channels = row.shape[1]
    result, up = bytearray(channels) + row.tobytes(), bytes(channels) + above.tobytes()  # with an empty pixel in front
    for at in range(channels, len(result)):
        result[at] = (result[at] + predict(result[at - channels], up[at], up[at - channels])) & 255
    return np.frombuffer(result, np.uint8)[channels:].reshape(row.shape)


def average(left: int, above: int, _: int) -> int:
    """The mean of two neighbours."""
    return (left + above) // 2


def paeth(left: int, above: int, corner: int) -> int:
    """The neighbour that is nearest to left + above - corner."""
    by_left, by_above, by_corner = abs(above - corner), abs(left - corner), abs(left + above - 2 * corner)
    if by_left <= by_above and by_left <= by_corner:
        return left
    return above if by_above <= by_corner else corner


def check_size(width: int, height: int) -> None:
    """Refuse images without pixels, and those that would fill the memory."""
    if not 0 < width * height <= MOST_PIXELS:
        raise ValueError(f"IMAGE has {width} x {height} pixels; send at least 1 and at most {MOST_PIXELS}")
