from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from converters.arrays import Array
from converters.data.npz import NpzDataset
from converters.errors import BadData

X = np.arange(30, dtype=np.float32).reshape(10, 3)


def written(folder: Path, **arrays: Array) -> Path:
    np.savez(folder / "data.npz", **arrays)
    return folder / "data.npz"


def refused(path: Path) -> str:
    with pytest.raises(BadData) as caught:
        list(NpzDataset(path))
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_batches_and_what_is_left(tmp_path: Path, save: object) -> None:
    assert callable(save)
    save(tmp_path / "data.npz", x=X, name=np.array([f"n{i}" for i in range(10)]))
    data = NpzDataset(tmp_path / "data.npz", batch_size=4)
    batches = list(data)
    assert len(data) == 3
    assert [len(feeds["x"]) for feeds in batches] == [4, 4, 2]
    assert np.array_equal(np.concatenate([feeds["x"] for feeds in batches]), X)
    assert batches[2]["name"].tolist() == ["n8", "n9"]


def test_big_endian_becomes_native(tmp_path: Path) -> None:
    (feeds,) = NpzDataset(written(tmp_path, x=X.astype(">f4")), batch_size=10)
    assert feeds["x"].dtype == np.float32
    assert np.array_equal(feeds["x"], X)


def test_digest_is_of_the_contents(tmp_path: Path) -> None:
    first = NpzDataset(written(tmp_path, x=X)).digest
    np.savez_compressed(tmp_path / "same.npz", x=X)
    assert NpzDataset(tmp_path / "same.npz").digest == first
    assert NpzDataset(written(tmp_path, x=X + 1)).digest != first


def test_inputs_with_unequal_samples(tmp_path: Path) -> None:
    assert "has 4 samples of 'y', and 10 of 'x'" in refused(written(tmp_path, x=X, y=X[:4]))


def test_what_has_no_samples(tmp_path: Path) -> None:
    assert "has no samples" in refused(written(tmp_path, x=np.float32(3).reshape(())))
    assert "Fortran" in refused(written(tmp_path, x=np.asfortranarray(X)))
    assert "Python objects" in refused(written(tmp_path, x=np.array([b"a", None], object)))


def test_missing_damaged_or_something_else(tmp_path: Path) -> None:
    assert "there is no file" in refused(tmp_path / "none.npz")
    text = tmp_path / "text.npz"
    text.write_text("no archive")
    assert "cannot be read as .npz" in refused(text)
    with zipfile.ZipFile(tmp_path / "short.npz", "w") as archive:
        whole = zipfile.ZipFile(written(tmp_path, x=X))
        archive.writestr("x.npy", whole.read("x.npy")[:-8])
        whole.close()
    assert "'x' in" in refused(tmp_path / "short.npz")
    flipped = bytearray(written(tmp_path, x=X).read_bytes())
    flipped[200] ^= 1
    (tmp_path / "flipped.npz").write_bytes(flipped)
    assert "is damaged" in refused(tmp_path / "flipped.npz")


def test_empty_archive_has_no_batches(tmp_path: Path) -> None:
    zipfile.ZipFile(tmp_path / "empty.npz", "w").close()
    assert len(NpzDataset(tmp_path / "empty.npz")) == 0
    assert list(NpzDataset(tmp_path / "empty.npz")) == []
