from __future__ import annotations

import tempfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from converters.errors import OutOfResources
from converters.verify.kept import KeptBatches


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_what_fits_stays_in_memory(folder: Path) -> None:
    with KeptBatches(bound=1000) as kept:
        array = np.arange(10.0)
        kept.append({"y": array})
        assert kept[0]["y"] is array
        assert list(folder.iterdir()) == []


def test_what_does_not_fit_goes_to_files_and_comes_back(folder: Path) -> None:
    with KeptBatches(bound=100) as kept:
        for number in range(4):
            kept.append({"y": np.full(10, number, np.float32), "n": np.array(number)})
        assert len(kept) == 4
        assert sorted(path.suffix for path in folder.rglob("*.npy")) == [".npy"] * 4
        assert [batch["y"].tolist() for batch in kept] == [[float(number)] * 10 for number in range(4)]
        assert [int(batch["n"]) for batch in kept[1:3]] == [1, 2]
        assert kept[-1]["y"].dtype == np.float32
    assert list(folder.iterdir()) == []
    assert len(kept) == 0


def test_strings_and_bf16_stay_in_memory(folder: Path) -> None:
    with KeptBatches(bound=0) as kept:
        kept.append({"label": np.array(["a"], object), "low": np.ones(2, ml_dtypes.bfloat16)})
        assert kept[0]["label"].tolist() == ["a"]
        assert kept[0]["low"].dtype == ml_dtypes.bfloat16
        assert list(folder.iterdir()) == []


def test_folder_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with KeptBatches(bound=0) as kept, pytest.raises(OutOfResources, match="TMPDIR"):
        kept.append({"y": np.ones(3)})
