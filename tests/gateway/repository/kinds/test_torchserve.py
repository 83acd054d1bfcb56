from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.description import Hints, Tensor
from gateway.repository.kinds.base import Unwrapped
from gateway.repository.kinds.torchserve import TorchServeWrapper

WRAPPER = TorchServeWrapper()


def archive(folder: Path, model: Any, files: dict[str, str] | None = None) -> Path:
    path = folder / "model.mar"
    with zipfile.ZipFile(path, "w") as writer:
        writer.writestr("MAR-INF/MANIFEST.json", json.dumps({"runtime": "python", "model": model}))
        for name, content in (files or {}).items():
            writer.writestr(name, content)
    return path


def described(handler: str = "image_classifier", **more: str) -> dict[str, str]:
    return {"modelName": "net", "modelVersion": "1.0", "handler": handler, "serializedFile": "net.pt", **more}


def unwrap(source: Path, hints: Hints | None = None) -> Unwrapped:
    scratch = source.parent / "scratch"
    scratch.mkdir()
    return WRAPPER.unwrap(source, scratch, hints or Hints())


def test_an_image_classifier_is_its_torchscript_with_labels(tmp_path: Path) -> None:
    names = json.dumps({"0": ["n01440764", "tench"], "1": "goldfish"})
    source = archive(tmp_path, described(), {"net.pt": "script", "index_to_name.json": names})
    assert WRAPPER.recognise(source)
    unwrapped = unwrap(source)
    assert unwrapped.source.read_text() == "script"
    assert unwrapped.hints == Hints(
        inputs=(Tensor("INPUT__0", "FP32", (-1, 3, 224, 224)),), labels={"OUTPUT__0": ("tench", "goldfish")}
    )
    assert unwrapped.origin == {
        "wrapper": "TorchServe archive",
        "handler": "image_classifier",
        "model_name": "net",
        "model_version": "1.0",
    }
    assert unwrapped.ambiguous == (
        "the handler's pre- and post-processing is not served: clients send and get tensors",
    )


def test_what_a_person_says_comes_first(tmp_path: Path) -> None:
    names = json.dumps({"0": "cat"})
    source = archive(tmp_path, described(), {"net.pt": "", "index_to_name.json": names})
    said = Hints(inputs=(Tensor("x", "FP32", (-1, 3, 64, 64)),), labels={"OUTPUT__0": ("dog",)})
    assert unwrap(source, said).hints == said


def test_handlers_that_take_any_tensor_and_onnx_files_bring_no_hints(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert unwrap(archive(tmp_path / "a", described("base_handler"), {"net.pt": ""})).hints == Hints()
    onnx = described(serializedFile="net.onnx")
    assert unwrap(archive(tmp_path / "b", onnx, {"net.onnx": ""})).hints == Hints()


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (described("handler.py"), r"handler 'handler\.py' is not one .* scaffold"),
        (described("handler.py:handle"), "is not one"),
        (described("text_classifier"), "vocabulary of its own.* scaffold"),
        (described(""), "there is none"),
        (described(modelFile="net.py"), r"eager mode: its network is the Python code net\.py\. .*jit\.script"),
        (described(serializedFile="../net.pt"), "no model file, or not the one"),
        (described(serializedFile="missing.pt"), "no model file, or not the one"),
        (described(serializedFile=""), "no model file, or not the one"),
        (None, "describes no model"),
    ],
)
def test_what_cannot_be_served_is_refused_with_the_reason(model: Any, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match=reason):
        unwrap(archive(tmp_path, model, {"net.pt": ""}))


def test_labels_that_leave_classes_out_are_refused(tmp_path: Path) -> None:
    files = {"net.pt": "", "index_to_name.json": json.dumps({"1": "cat"})}
    with pytest.raises(ModelRefused, match="must name the classes 0 to 0"):
        unwrap(archive(tmp_path, described(), files))


def test_an_archive_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.mar", "w") as writer:
        writer.writestr("net.pt", "")
    with pytest.raises(ModelRefused, match=r"no MANIFEST\.json that can be read"):
        unwrap(tmp_path / "model.mar")
