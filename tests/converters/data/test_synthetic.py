from __future__ import annotations

import numpy as np
import pytest

from converters.data.checked import CheckedDataset
from converters.data.synthetic import SyntheticDataset
from converters.errors import BadData
from converters.graph.signature import Signature, Tensor


def signature(*inputs: Tensor) -> Signature:
    return Signature(inputs=inputs, outputs=())


EVERYTHING = signature(
    Tensor("image", "FP32", ("batch", 3, "height", 4)),
    Tensor("ids", "INT64", ("batch", "tokens")),
    Tensor("half", "FP16", (2,)),
    Tensor("short", "BF16", ("",)),
    Tensor("flag", "BOOL", ("batch",)),
    Tensor("text", "BYTES", ("batch", 2)),
    Tensor("scalar", "UINT8", ()),
)


def test_all_types_fit_and_come_again() -> None:
    data = SyntheticDataset(EVERYTHING, batches=3, batch_size=5)
    first, again = list(CheckedDataset(data, EVERYTHING)), list(data)
    assert len(data) == len(first) == 3
    assert first[0]["image"].shape == (5, 3, 1, 4)
    assert first[0]["ids"].shape == (5, 1)
    assert first[0]["text"].shape == (5, 2)
    assert all(np.array_equal(one[name], two[name]) for one, two in zip(first, again, strict=True) for name in one)
    assert not np.array_equal(first[0]["image"], first[1]["image"])
    assert data.digest == SyntheticDataset(EVERYTHING, batches=3, batch_size=5).digest


def test_floats_are_around_zero_and_integers_small() -> None:
    feeds = next(iter(SyntheticDataset(signature(Tensor("x", "FP32", (1000,)), Tensor("n", "INT32", (1000,))))))
    assert -1 <= feeds["x"].min() < 0 < feeds["x"].max() <= 1
    assert set(feeds["n"].tolist()) == set(range(100))


def test_what_cannot_be_made_up() -> None:
    with pytest.raises(BadData, match="no known number of dimensions; give real data"):
        list(SyntheticDataset(signature(Tensor("x", "FP32", None))))
    with pytest.raises(BadData, match="a type without random values"):
        list(SyntheticDataset(signature(Tensor("x", "", (1,)))))
