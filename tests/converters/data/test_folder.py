from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converters.arrays import Array
from converters.data.folder import FolderDataset
from converters.errors import BadData

X = np.arange(6, dtype=np.float32).reshape(2, 3)


def save(path: Path, array: Array) -> None:
    path.parent.mkdir(exist_ok=True)
    np.save(path, array)


def refused(data: FolderDataset) -> str:
    with pytest.raises(BadData) as caught:
        list(data)
    return str(caught.value)


def test_npz_files_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 9, 1):
        np.savez(tmp_path / f"{number}.npz", x=X + number)
    (tmp_path / ".hidden.npz").write_text("")
    (tmp_path / "README.md").write_text("")
    data = FolderDataset(tmp_path)
    assert [feeds["x"][0, 0] for feeds in data] == [1, 9, 10]
    assert len(data) == 3


def test_npy_files_of_the_only_input(tmp_path: Path) -> None:
    save(tmp_path / "a.npy", X)
    assert next(iter(FolderDataset(tmp_path, input_name="x")))["x"].tolist() == X.tolist()
    assert "do not name their input; put them into a subfolder" in refused(FolderDataset(tmp_path))


def test_a_subfolder_for_every_input(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / "x" / f"{name}.npy", X)
        save(tmp_path / "y" / f"{name}.npy", X + 1)
    assert [sorted(feeds) for feeds in FolderDataset(tmp_path)] == [["x", "y"]] * 2
    save(tmp_path / "y" / "c.npy", X)
    assert "c.npy is in one of" in refused(FolderDataset(tmp_path))


def test_single_samples_are_stacked(tmp_path: Path) -> None:
    for number in range(5):
        np.savez(tmp_path / f"{number}.npz", x=X + number)
    data = FolderDataset(tmp_path, batch_size=2)
    assert [feeds["x"].shape for feeds in data] == [(2, 2, 3), (2, 2, 3), (1, 2, 3)]
    assert len(data) == 3


def test_samples_that_do_not_stack(tmp_path: Path) -> None:
    np.savez(tmp_path / "0.npz", x=X)
    np.savez(tmp_path / "1.npz", x=X[:1])
    assert "have the shapes (2, 3) and (1, 3), which do not make a batch" in refused(
        FolderDataset(tmp_path, batch_size=2)
    )
    np.savez(tmp_path / "1.npz", y=X)
    assert "None" in refused(FolderDataset(tmp_path, batch_size=2))


def test_missing_empty_or_mixed(tmp_path: Path) -> None:
    assert "there is no folder" in refused(FolderDataset(tmp_path / "none"))
    assert "has no .npz or .npy files" in refused(FolderDataset(tmp_path))
    np.savez(tmp_path / "0.npz", x=X)
    save(tmp_path / "x" / "0.npy", X)
    assert "mixes layouts" in refused(FolderDataset(tmp_path))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "0.npz", x=np.array([None], object))
    assert "0.npz holds Python objects" in refused(FolderDataset(tmp_path))
    (tmp_path / "0.npz").write_bytes(b"PK\x03\x04 cut off")
    assert "0.npz cannot be read" in refused(FolderDataset(tmp_path))


def test_digest(tmp_path: Path) -> None:
    np.savez(tmp_path / "0.npz", x=X)
    first = FolderDataset(tmp_path).digest
    np.savez(tmp_path / "0.npz", x=X + 1)
    assert FolderDataset(tmp_path).digest != first
