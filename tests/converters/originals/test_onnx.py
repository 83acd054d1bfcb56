from pathlib import Path

import numpy as np
import pytest

from converters.errors import BadSource
from converters.graph import shapes
from converters.graph.files import save
from converters.graph.opset import opset_of
from converters.graph.signature import signature_of
from converters.originals.base import ExportOptions
from converters.originals.onnx import OnnxOriginal
from tests.converters.framework_models import onnx_model


def test_the_file_is_simplified_and_keeps_its_opset_and_names(tmp_path: Path) -> None:
    save(onnx_model(("?", "?"), opset=13), tmp_path / "model.onnx")
    model = OnnxOriginal(tmp_path / "model.onnx").to_onnx(ExportOptions())
    assert opset_of(model) == 13
    assert opset_of(OnnxOriginal(tmp_path / "model.onnx").to_onnx(ExportOptions(opset=18))) == 18
    assert [str(each) for each in signature_of(model).inputs] == ["x: FP32 [batch, x_1]"]


def test_the_runner_runs_the_file(tmp_path: Path) -> None:
    save(onnx_model(), tmp_path / "model.onnx")
    runner = OnnxOriginal(tmp_path / "model.onnx").runner(ExportOptions())
    assert runner.run({"x": np.array([[-3, 0, 1]], np.float32)})["y"].tolist() == [[0, 1, 2]]
    assert runner.name.startswith("onnxruntime")
    runner.close()


def test_the_digest_covers_external_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = onnx_model(("batch", 3000))
    model.graph.initializer[0].raw_data = np.arange(3000, dtype=np.float32).tobytes()
    model.graph.initializer[0].dims[0] = 3000
    monkeypatch.setattr(shapes, "LARGEST", 100)
    save(model, tmp_path / "model.onnx")
    original = OnnxOriginal(tmp_path / "model.onnx")
    before = original.digest
    data = next(tmp_path.glob("*.data"))
    data.write_bytes(data.read_bytes()[::-1])
    assert original.digest != before


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"tree\n")
    original = OnnxOriginal(tmp_path / "model.onnx")
    with pytest.raises(BadSource, match="no ONNX model"):
        original.to_onnx(ExportOptions())
    with pytest.raises(BadSource, match="no ONNX model"):
        _ = original.digest
