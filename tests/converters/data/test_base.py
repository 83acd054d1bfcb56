"""What every kind of data keeps to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from converters.data.base import Dataset
from converters.data.checked import CheckedDataset
from converters.data.open import DataSpec, dataset
from converters.graph.signature import Signature, Tensor
from tests.converters.data.recordings import record

SIGNATURE = Signature(inputs=(Tensor("x", "FP32", ("batch", 3)),), outputs=())
VALUES = np.arange(12, dtype=np.float32).reshape(4, 3)


def npz(folder: Path) -> DataSpec:
    np.savez(folder / "data.npz", x=VALUES)
    return DataSpec("npz", "data.npz", batch_size=2)


def files(folder: Path) -> DataSpec:
    for number in range(2):
        np.savez(folder / f"{number}.npz", x=VALUES[2 * number : 2 * number + 2])
    return DataSpec("folder", ".")


def generator(folder: Path) -> DataSpec:
    (folder / "own.py").write_text(
        "import numpy as np\n"
        "def data():\n"
        "    yield {'x': np.arange(6, dtype=np.float32).reshape(2, 3)}\n"
        "    yield {'x': np.arange(6, 12, dtype=np.float32).reshape(2, 3)}\n"
    )
    return DataSpec("generator", "own.py:data")


def recorded(folder: Path) -> DataSpec:
    record(folder / "ocr", {"x": VALUES[:2]}, {"x": VALUES[2:]})
    return DataSpec("recorded", ".")


@pytest.fixture(params=[npz, files, generator, recorded])
def same(request: pytest.FixtureRequest, tmp_path: Path) -> Dataset:
    write: Callable[[Path], DataSpec] = request.param
    return dataset(write(tmp_path), base=tmp_path)


def test_each_kind_gives_the_same_each_time(same: Dataset) -> None:
    for _ in range(2):
        assert [feeds["x"].tolist() for feeds in same] == [VALUES[:2].tolist(), VALUES[2:].tolist()]
    assert len(same) == 2
    assert same.origin


def test_same_data_has_the_same_digest_wherever_it_comes_from(same: Dataset) -> None:
    assert same.digest == "fce1b78ba8ea2be298a27bf3c1db7683784b9208e50cd8fee0cf7a384766e057"
    assert CheckedDataset(same, SIGNATURE).digest == same.digest
