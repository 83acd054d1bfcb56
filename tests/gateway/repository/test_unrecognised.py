"""What is said of files and folders that are no models."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.repository.recognise import KINDS
from gateway.repository.unrecognised import explain


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("model.h5", b"\x89HDF\r\n\x1a\n", "save it again with model.save('model.keras')"),
        ("model", b"\x89HDF\r\n\x1a\n", "save it again with model.save('model.keras')"),
        ("model.zip", b"PK\x03\x04", "unpack it"),
        ("model", b"PK\x03\x04", "unpack it"),
        ("model.tar.gz", b"\x1f\x8b", "unpack it"),
        ("model.safetensors", b"1234", "weights without the network"),
        ("model.pth", b"1234", "weights without the network"),
        ("model.tflite", b"1234", "tf.saved_model.save"),
        ("model.gguf", b"GGUF", "language model for llama.cpp"),
        ("saved_model.pb", b"1234", "the whole folder"),
        ("model.py", b"pass", "folder with model.py"),
        ("model", b"\x08\x09", "the ending of its format, such as .onnx"),
        ("notes.docx", b"1234", "'notes.docx' is no model that is known here"),
        ("model.onnx", b"", "'model.onnx' is empty"),
    ],
)
def test_a_near_miss_is_told_what_to_do(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert said in explain(tmp_path / name, KINDS)


def test_every_reason_ends_with_what_can_be_dropped(tmp_path: Path) -> None:
    said = explain(tmp_path / "missing", KINDS)
    assert "isn't there" in said
    assert "What can be dropped: ONNX, " in said
    assert "ickle" not in said


def test_a_folder_with_two_models_names_both(tmp_path: Path) -> None:
    for name in ("a.onnx", "b.onnx"):
        (tmp_path / name).write_bytes(b"\x08\x09")
    assert "several models: a.onnx, b.onnx; drop each by itself" in explain(tmp_path, KINDS)


def test_a_folder_around_a_model_names_it(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.onnx").write_bytes(b"\x08\x09")
    assert "drop inner by itself" in explain(tmp_path, KINDS)


def test_an_empty_folder_is_called_so(tmp_path: Path) -> None:
    assert "is empty" in explain(tmp_path, KINDS)


def test_a_hugging_face_folder_is_told_how_to_export(tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes(b"{}")
    assert "optimum-cli export onnx" in explain(tmp_path, KINDS)


@pytest.mark.parametrize("name", ["model.mlpackage", "renamed"])
def test_a_core_ml_package_is_called_so(tmp_path: Path, name: str) -> None:
    (tmp_path / name / "Data").mkdir(parents=True)
    (tmp_path / name / "Manifest.json").write_bytes(b"{}")
    assert f"the folder '{name}' is a Core ML model" in explain(tmp_path / name, KINDS)


def test_a_name_with_braces_is_shown_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "{0}.h5").write_bytes(b"1234")
    assert "'{0}.h5' is an HDF5 file" in explain(tmp_path / "{0}.h5", KINDS)
