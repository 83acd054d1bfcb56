from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converters.data.open import DataSpec, dataset, parsed
from converters.errors import ConfigError
from converters.graph.signature import Signature, Tensor
from tests.converters.data.recordings import record

SIGNATURE = Signature(inputs=(Tensor("x", "FP32", (2, 3)),), outputs=())
X = np.zeros((6, 3), np.float32)


def test_kinds_by_the_form_of_the_word(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    record(tmp_path / "requests" / "ocr", {"x": X})
    kinds = {
        "a/data.npz": "npz", "files": "folder", "requests": "recorded", "own.py:make": "generator",
        "package.module:make": "generator", "synthetic:8": "synthetic", "folder:requests": "folder",
    }  # fmt: skip
    assert {text: parsed(text, tmp_path).kind for text in kinds} == kinds
    assert parsed("npz:odd:name.zip").source == "odd:name.zip"


def test_words_and_kinds_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"'nowhere' is no data.*kinds are npz, folder, generator, recorded, synthetic"
    ):
        parsed("nowhere", tmp_path)
    with pytest.raises(ConfigError, match="no data of kind 'folders'; did you mean 'folder'"):
        dataset(DataSpec("folders", "."))


def test_batch_that_the_model_is_fixed_to(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=X)
    assert len(dataset("data.npz", base=tmp_path, signature=SIGNATURE)) == 3
    assert len(dataset("data.npz", base=tmp_path)) == 1
    assert len(dataset(DataSpec("npz", "data.npz", batch_size=1), base=tmp_path, signature=SIGNATURE)) == 6


def test_only_input_gives_files_their_name(tmp_path: Path) -> None:
    np.save(tmp_path / "0.npy", X)
    (feeds,) = dataset("folder:.", base=tmp_path, signature=SIGNATURE)
    assert list(feeds) == ["x"]


def test_limit_ends_a_generator(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def make():\n    while True:\n        yield {'x': [[1.0]]}\n")
    assert len(dataset(DataSpec("generator", "own.py:make", batches=3), base=tmp_path)) == 3


def test_random_data_needs_to_know_the_inputs() -> None:
    assert [feeds["x"].shape for feeds in dataset("synthetic:2", signature=SIGNATURE)] == [(2, 3)] * 2
    with pytest.raises(ConfigError, match="needs the model's inputs first"):
        dataset("synthetic:2")
    with pytest.raises(ConfigError, match="'many' is no number of batches"):
        dataset("synthetic:many", signature=SIGNATURE)
