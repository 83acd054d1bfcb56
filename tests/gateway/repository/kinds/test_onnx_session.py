from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.kinds.onnx_session import open_session, run
from tests.backends.sample_models import onnx_identity, onnx_model

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("optimised", [True, False])
def test_arrays_of_all_kinds_go_in_and_come_out(tmp_path: Path, optimised: bool) -> None:
    session = open_session(onnx_identity(tmp_path / "m.onnx", ["FP32", "BOOL", "BYTES"]), optimised=optimised)
    inputs = {
        "IN_FP32": np.array([[1.5]], np.float32),
        "IN_BOOL": np.array([[True]]),
        "IN_BYTES": np.array([["ä".encode(), b""]], object),
    }
    outputs = run(session, inputs, ["OUT_BYTES", "OUT_FP32", "OUT_BOOL"])
    assert list(outputs) == ["OUT_BYTES", "OUT_FP32", "OUT_BOOL"]
    for name, array in outputs.items():
        np.testing.assert_array_equal(array, inputs[name.replace("OUT", "IN")])


def test_a_refusal_shows_neither_paths_nor_prefixes(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"\x08\x09")
    with pytest.raises(ModelRefused, match=r"ONNX Runtime [\d.]+ cannot open the model") as refused:
        open_session(tmp_path / "m.onnx", optimised=False)
    assert str(tmp_path) not in refused.value.message
    assert "ONNXRuntimeError" not in refused.value.message


@pytest.mark.parametrize(
    ("opset", "said"), [(6, "onnx.version_converter.convert_version"), (99, "Export it for an older opset")]
)
def test_an_opset_that_cannot_be_run_comes_with_the_way_out(tmp_path: Path, opset: int, said: str) -> None:
    value = [("x", "FLOAT", [2])], [("y", "FLOAT", [2])]
    path = onnx_model(tmp_path / "m.onnx", [onnx.helper.make_node("Add", ["x", "x"], ["y"])], *value)
    model = onnx.load_model(str(path))
    model.opset_import[0].version = opset
    onnx.save_model(model, str(path))
    with pytest.raises(ModelRefused, match=said):
        open_session(path, optimised=False)
