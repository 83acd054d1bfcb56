from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from converters.arrays import Array, Feeds
from converters.data.checked import CheckedDataset
from converters.errors import BadData
from converters.graph.signature import Signature, Tensor

SIGNATURE = Signature(
    inputs=(Tensor("image", "FP32", ("batch", 2, "?", "?")), Tensor("size", "INT64", ("batch",))), outputs=()
)
IMAGE = np.zeros((3, 2, 4, 5), np.float32)
SIZE = np.zeros(3, np.int64)


class Batches:
    """Data in memory."""

    origin = "a list"
    digest = "0" * 64

    def __init__(self, *batches: Feeds) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Feeds]:
        return iter(self._batches)


def checked(**feeds: Array) -> Feeds:
    good: dict[str, Array] = {"image": IMAGE, "size": SIZE}
    return list(CheckedDataset(Batches(good, feeds), SIGNATURE))[1]


def refused(**feeds: Array) -> str:
    with pytest.raises(BadData) as caught:
        checked(**feeds)
    assert "batch 1 of a list" in str(caught.value)
    return str(caught.value)


def test_what_fits_passes_as_it_is() -> None:
    feeds = checked(size=SIZE, image=IMAGE)
    assert feeds["image"] is IMAGE
    assert feeds["size"] is SIZE


def test_fp64_becomes_fp32_and_nothing_else_is_cast() -> None:
    assert checked(image=IMAGE.astype(np.float64), size=SIZE)["image"].dtype == np.float32
    assert "input 'size' in batch 1 of a list is INT32, and the model takes INT64; save it as INT64" in refused(
        image=IMAGE, size=SIZE.astype(np.int32)
    )
    assert "is FP16, and the model takes FP32" in refused(image=IMAGE.astype(np.float16), size=SIZE)


def test_names() -> None:
    assert "lacks the input 'size: INT64 [batch]'; add an array named 'size'" in refused(image=IMAGE)
    assert "an input 'images' that the model does not take; rename it to 'image'" in refused(images=IMAGE, size=SIZE)
    assert "the model takes image: FP32 [batch, 2, ?, ?], size: INT64 [batch]" in refused(
        image=IMAGE, size=SIZE, mask=SIZE
    )


def test_shapes() -> None:
    assert "has 3 dimensions [2, 4, 5], and the model takes 4 [batch, 2, ?, ?]; add" in refused(
        image=IMAGE[0], size=SIZE
    )
    assert "and the model takes 1 [batch]; drop" in refused(image=IMAGE, size=SIZE[:, None])
    assert "make dimension 1 2 instead of 1" in refused(image=IMAGE[:, :1], size=SIZE)
    assert "has 2 samples, but input 'image' in batch 1 of a list has 3" in refused(image=IMAGE, size=SIZE[:2])
    assert "has no elements" in refused(image=IMAGE[:0], size=SIZE[:0])


def test_nan_and_infinity() -> None:
    for bad in (np.nan, np.inf):
        image = IMAGE.copy()
        image[1, 0, 2, 3] = bad
        assert "holds NaN or infinity, first at [1, 0, 2, 3]" in refused(image=image, size=SIZE)


def test_nothing_at_all() -> None:
    with pytest.raises(BadData, match="a list holds no data; give at least one batch"):
        list(CheckedDataset(Batches(), SIGNATURE))


def test_limit_of_batches_shows_in_the_digest() -> None:
    data = Batches({"image": IMAGE, "size": SIZE}, {"image": IMAGE, "size": SIZE})
    some = CheckedDataset(data, SIGNATURE, batches=1)
    assert len(some) == len(list(some)) == 1
    assert some.digest != data.digest
    assert CheckedDataset(data, SIGNATURE, batches=5).digest == data.digest


def test_unknown_rank_takes_any_shape() -> None:
    anything = Signature(inputs=(Tensor("x", "FP32", None),), outputs=())
    assert next(iter(CheckedDataset(Batches({"x": IMAGE}), anything)))["x"] is IMAGE
