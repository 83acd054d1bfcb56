"""The lists of what can be dropped, and what is said of the rest."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.kinds.base import Kind, Wrapper
from gateway.repository.recognise import KINDS, WRAPPERS, recognise
from tests.gateway.repository.dropped import python_model


def test_an_onnx_file_is_recognised_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "my.onnx").write_bytes(b"\x08\x09")
    assert recognise(tmp_path / "my.onnx").name == "onnx"


def test_a_python_model_is_recognised_by_its_file(tmp_path: Path) -> None:
    assert recognise(python_model(tmp_path / "doubler")).name == "python"


def test_an_mlflow_model_is_recognised_before_what_is_inside(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("flavors:\n  onnx:\n    data: model.onnx\n", encoding="utf-8")
    (tmp_path / "model.onnx").write_bytes(b"\x08\x09")
    assert recognise(tmp_path) in WRAPPERS


def test_everything_has_a_name_and_a_title_of_its_own() -> None:
    known: tuple[Kind | Wrapper, ...] = (*WRAPPERS, *KINDS)
    assert len({each.name for each in known}) == len(known)
    assert len({each.title for each in known}) == len(known)


@pytest.mark.parametrize("name", ["missing", "empty.bin", "folder", "text.txt", "data.json"])
def test_no_kind_recognises_what_is_nothing_and_none_raises(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty.bin").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.txt").write_text("hello", encoding="utf-8")
    (tmp_path / "data.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelRefused, match=r"What can be dropped: .*ONNX"):
        recognise(tmp_path / name)


def test_looking_imports_no_framework(tmp_path: Path) -> None:
    (tmp_path / "my.onnx").write_bytes(b"\x08\x09")
    code = (
        "import json, sys; from pathlib import Path; from gateway.repository.recognise import recognise; "
        "recognise(Path(sys.argv[1])); print(json.dumps(list(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "my.onnx")],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        check=True,
    )
    frameworks = {"keras", "lightgbm", "onnx", "onnxruntime", "sklearn", "tensorflow", "torch", "treelite", "xgboost"}
    assert not frameworks & set(json.loads(found.stdout))
