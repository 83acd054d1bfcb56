from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.core.errors import ModelRefused
from gateway.repository.description import Hints, Tensor
from gateway.repository.kinds.base import Unwrapped
from gateway.repository.kinds.mlflow import MlflowWrapper

WRAPPER = MlflowWrapper()
PYFUNC = {"python_function": {"loader_module": "mlflow.pyfunc.model"}}


def model(folder: Path, flavors: Any, files: dict[str, bytes], **more: Any) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": flavors, **more}), encoding="utf-8")
    return folder


def unwrap(folder: Path, hints: Hints | None = None) -> Unwrapped:
    scratch = folder.parent / f"{folder.name}.scratch"
    scratch.mkdir()
    return WRAPPER.unwrap(folder, scratch, hints or Hints())


def torchscript(path: Path, *names: str) -> bytes:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(f"model/{name}", b"")
    return path.read_bytes()


@pytest.mark.parametrize(
    ("flavor", "settings", "files", "found"),
    [
        ("onnx", {"data": "model.onnx"}, {"model.onnx": b""}, "model.onnx"),
        ("tensorflow", {"data": "data"}, {"data/model.keras": b"", "data/keras_module.txt": b""}, "data/model.keras"),
        ("tensorflow", {"data": "data"}, {"data/model/saved_model.pb": b""}, "data/model"),
        ("tensorflow", {"saved_model_dir": "tf"}, {"tf/saved_model.pb": b""}, "tf"),
        ("keras", {"data": "data"}, {"data/model.keras": b""}, "data/model.keras"),
        ("pytorch", {"model_data": "data"}, {"data/model.pt2": b""}, "data/model.pt2"),
        ("xgboost", {"data": "model.ubj"}, {"model.ubj": b"{L"}, "model.ubj"),
        ("xgboost", {"data": "model.xgb"}, {"model.xgb": b"{L"}, "model.xgb"),
        ("lightgbm", {"data": "model.lgb"}, {"model.lgb": b"tree\nversion=v4"}, "model.lgb"),
        (
            "sklearn",
            {"pickled_model": "model.skops", "serialization_format": "skops"},
            {"model.skops": b""},
            "model.skops",
        ),
    ],
)
def test_the_model_of_a_flavor_is_found(
    flavor: str, settings: dict[str, str], files: dict[str, bytes], found: str, tmp_path: Path
) -> None:
    folder = model(tmp_path / "model", {**PYFUNC, flavor: settings}, files)
    assert WRAPPER.recognise(folder)
    unwrapped = unwrap(folder)
    assert unwrapped.source.as_posix().endswith(found)
    assert unwrapped.source.exists()
    assert unwrapped.origin["flavor"] == flavor
    assert unwrapped.hints == Hints()


def test_onnx_comes_before_all_others_and_the_origin_is_kept(tmp_path: Path) -> None:
    folder = model(
        tmp_path / "model",
        {"sklearn": {"pickled_model": "model.pkl"}, "onnx": {"data": "model.onnx"}},
        {"model.onnx": b"", "model.pkl": b""},
        run_id="abc",
        mlflow_version="3.1.0",
        utc_time_created="2025-01-02 03:04:05",
    )
    assert unwrap(folder).origin == {
        "wrapper": "MLflow model",
        "flavor": "onnx",
        "run_id": "abc",
        "mlflow_version": "3.1.0",
        "utc_time_created": "2025-01-02 03:04:05",
    }


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (
            [{"name": "x", "type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3, 8, 8]}}],
            (Tensor("x", "FP32", (-1, 3, 8, 8)),),
        ),
        ([{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}], (Tensor("INPUT__0", "INT64", (-1,)),)),
        ([{"type": "double", "name": name} for name in "abc"], (Tensor("INPUT__0", "FP64", (-1, 3)),)),
        ([{"type": "double", "name": "a"}, {"type": "string", "name": "b"}], ()),
        ([{"type": "datetime", "name": "a"}], ()),
    ],
)
def test_the_signature_tells_what_torchscript_takes(inputs: Any, expected: Any, tmp_path: Path) -> None:
    scripted = torchscript(tmp_path / "a.zip", "code/net.py", "constants.pkl")
    folder = model(
        tmp_path / "model",
        {"pytorch": {"model_data": "data"}},
        {"data/model.pth": scripted},
        signature={"inputs": json.dumps(inputs), "outputs": None},
    )
    assert unwrap(folder).hints.inputs == expected


def test_what_a_person_says_comes_before_the_signature(tmp_path: Path) -> None:
    scripted = torchscript(tmp_path / "a.zip", "code/net.py", "constants.pkl")
    folder = model(tmp_path / "model", {"pytorch": {"model_data": "data"}}, {"data/model.pth": scripted})
    said = Hints(inputs=(Tensor("image", "FP32", (-1, 3)),))
    assert unwrap(folder, said).hints == said


@pytest.mark.parametrize(
    ("flavors", "files", "reason"),
    [
        ({"sklearn": {"pickled_model": "model.pkl"}}, {"model.pkl": b""}, r"is saved as pickle.*skops"),
        ({"pytorch": {"model_data": "data"}}, {"data/model.pth": b"\x80"}, r"pickled PyTorch module.*jit\.script"),
        ({"lightgbm": {"data": "model.pkl"}}, {"model.pkl": b"\x80"}, r"pickled.*model\.booster_"),
        ({"xgboost": {"data": "model.xgb"}}, {"model.xgb": b"binf"}, r"old binary format.*'ubj'"),
        ({"tensorflow": {"data": "data"}}, {"data/readme": b""}, r"neither a \.keras file nor a SavedModel"),
        ({"pytorch": {"model_data": "data"}}, {"data/readme": b""}, "holds no PyTorch model"),
        ({**PYFUNC, "spark": {}}, {}, r"the flavors python_function, spark; one of onnx, .* scaffold"),
        ({"onnx": {"data": "../other.onnx"}}, {}, r"'\.\./other\.onnx', which is outside"),
        ({"onnx": {"data": "/etc/passwd"}}, {}, "which is outside"),
        ({"onnx": {"data": "model.onnx"}}, {}, "which is not there"),
        ([], {}, "names no flavors"),
    ],
)
def test_what_cannot_be_served_is_refused_with_the_reason(
    flavors: Any, files: dict[str, bytes], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelRefused, match=reason):
        unwrap(model(tmp_path / "model", flavors, files))


def test_a_file_that_is_no_description_is_refused(tmp_path: Path) -> None:
    folder = model(tmp_path / "model", {}, {})
    for content, reason in (
        ("a: [", "cannot be read"),
        ("text", "no description"),
        ("!!python/name:os.system", "read"),
    ):
        (folder / "MLmodel").write_text(content, encoding="utf-8")
        with pytest.raises(ModelRefused, match=reason):
            WRAPPER.unwrap(folder, tmp_path, Hints())


def test_a_link_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    folder = model(tmp_path / "model", {"onnx": {"data": "model.onnx"}}, {})
    (folder / "model.onnx").symlink_to("/etc/passwd")
    with pytest.raises(ModelRefused, match="a link that leaves the folder"):
        unwrap(folder)
