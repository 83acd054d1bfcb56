from pathlib import Path

import pytest

from backends.common.errors import LoadError
from backends.common.files import model_path


def test_the_file_and_the_folder(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"x")
    (tmp_path / "model.savedmodel").mkdir()
    assert model_path(tmp_path, "model.onnx") == tmp_path / "model.onnx"
    assert model_path(tmp_path, "model.savedmodel", directory=True) == tmp_path / "model.savedmodel"


def test_a_missing_file_names_what_the_version_holds_instead(tmp_path: Path) -> None:
    version = tmp_path / "3"
    version.mkdir()
    (version / "net.onnx").touch()
    with pytest.raises(LoadError, match=r"'model.onnx' is missing in version 3, which holds net.onnx; rename it"):
        model_path(version, "model.onnx")


def test_an_empty_file_and_the_wrong_kind(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()
    with pytest.raises(LoadError, match=r"'model.onnx' in version .* is empty; copy the model again"):
        model_path(tmp_path, "model.onnx")
    with pytest.raises(LoadError, match=r"'model.onnx' in version .* must be a folder"):
        model_path(tmp_path, "model.onnx", directory=True)
