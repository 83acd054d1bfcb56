"""Models loaded by the code that Triton runs, without Triton."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.description import Description, Tensor
from gateway.repository.tried import Tried, entry_point
from tests.gateway.repository.dropped import onnx_model, python_model

X, Y = Tensor("x", "FP32", (-1, 4)), Tensor("y", "FP32", (-1, 4))
TYPES = {"x": "FP32"}


@pytest.fixture(autouse=True)
def modules() -> Iterator[None]:
    """What is imported and searched is as before: the process that this is made for ends after one model."""
    path, before = list(sys.path), dict(sys.modules)
    yield
    sys.path[:] = path
    for name in sys.modules.keys() - before.keys():
        if name in ("model", "triton_python_backend_utils"):
            del sys.modules[name]


def described(backend: str, filename: str) -> Description:
    return Description("kind", backend, None, (X,), (Y,), batches=True, filename=filename)


def config(**more: Any) -> dict[str, Any]:
    tensors = {
        side: [{"name": name, "data_type": "TYPE_FP32", "dims": [4]}]
        for side, name in (("input", "x"), ("output", "y"))
    }
    return {"name": "m", "max_batch_size": 4, **tensors, **more}


def test_an_onnx_model_runs_by_the_backend_of_the_gateway(tmp_path: Path) -> None:
    onnx_model(tmp_path / "model.onnx", "Neg")
    path = entry_point(tmp_path, described("onnxruntime", "model.onnx"))
    assert path is not None
    model = Tried(path, tmp_path, config())
    outputs = model.run({"x": np.ones((2, 4), np.float32)}, TYPES)
    assert outputs["y"].tolist() == [[-1.0] * 4] * 2
    model.close()


def test_a_python_model_runs_by_its_own_file_and_finds_the_files_beside(tmp_path: Path) -> None:
    folder = python_model(
        tmp_path / "1", initialize="import beside; self.factor = beside.FACTOR", execute="y = x * self.factor"
    )
    (folder / "beside.py").write_text("FACTOR = 3", encoding="utf-8")
    path = entry_point(folder, described("python", "model.py"))
    assert path == folder / "model.py"
    model = Tried(path, folder, config())
    assert model.run({"x": np.ones((1, 4), np.float32)}, TYPES)["y"].tolist() == [[3.0] * 4]
    model.close()
    del sys.modules["beside"]


def test_a_backend_that_is_a_part_of_triton_has_no_entry_point(tmp_path: Path) -> None:
    assert entry_point(tmp_path, described("tensorrt", "model.plan")) is None


def test_a_backend_that_refuses_the_model_is_quoted(tmp_path: Path) -> None:
    onnx_model(tmp_path / "model.onnx", "Neg")
    path = entry_point(tmp_path, described("onnxruntime", "model.onnx"))
    assert path is not None
    wrong = config(output=[{"name": "z", "data_type": "TYPE_FP32", "dims": [4]}])
    with pytest.raises(ModelRefused, match=r"the model cannot be loaded: .*'z'"):
        Tried(path, tmp_path, wrong)


def test_a_decoupled_model_answers_by_its_sender(tmp_path: Path) -> None:
    sends = """
    request.get_response_sender().send(pb_utils.InferenceResponse([pb_utils.Tensor("y", x)]))
    return None
    """
    folder = python_model(tmp_path / "1", execute=sends)
    model = Tried(folder / "model.py", folder, config())
    assert model.run({"x": np.ones((1, 4), np.float32)}, TYPES)["y"].tolist() == [[1.0] * 4]


def test_a_file_without_the_class_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("pass", encoding="utf-8")
    with pytest.raises(ModelRefused, match="no class TritonPythonModel"):
        Tried(tmp_path / "model.py", tmp_path, config())
