from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from converters.errors import BadData, ConfigError
from converters.graph.signature import signature_of
from converters.originals.base import ExportOptions
from converters.originals.saved_model import SavedModelOriginal
from tests.converters.framework_models import answers


def test_the_runner_and_the_onnx_agree_on_names_and_values(saved_model: Path) -> None:
    original, options = SavedModelOriginal(saved_model), ExportOptions()
    model, runner = original.to_onnx(options), original.runner(options)
    assert runner.name == f"tensorflow {tf.__version__}"
    for batch in (1, 3):
        x = np.random.default_rng(batch).normal(size=(batch, 3)).astype(np.float32)
        expected, found = runner.run({"x": x}), answers(model, {"x": x})
        assert list(expected) == list(found) == ["scores", "total"]
        for name, array in expected.items():
            np.testing.assert_allclose(found[name], array, atol=1e-6)
    runner.close()


def test_the_signature_and_the_opset_are_the_options(saved_model: Path) -> None:
    original, options = SavedModelOriginal(saved_model), ExportOptions(signature="loop", opset=17)
    model = original.to_onnx(options)
    assert [entry.version for entry in model.opset_import if not entry.domain] == [17]
    assert {tensor.name for tensor in signature_of(model).inputs} == {"x", "times"}
    runner = original.runner(options)
    assert (
        runner.run({"x": np.ones((2, 3), np.float32), "times": np.array(0, np.int32)})["y"].tolist() == [[1, 1, 1]] * 2
    )
    runner.close()
    with pytest.raises(ConfigError, match="no signature 'none'"):
        original.runner(ExportOptions(signature="none"))


def test_input_that_does_not_fit_is_told(saved_model: Path) -> None:
    runner = SavedModelOriginal(saved_model).runner(ExportOptions())
    with pytest.raises(BadData, match=r"does not take the input \(x float32 \[2, 5\]\)"):
        runner.run({"x": np.ones((2, 5), np.float32)})
    with pytest.raises(BadData, match="the data has no 'x'"):
        runner.run({})
    runner.close()


def test_the_digest_covers_the_variables(tmp_path: Path) -> None:
    (tmp_path / "variables").mkdir()
    (tmp_path / "saved_model.pb").write_bytes(b"graph")
    (tmp_path / "variables" / "data").write_bytes(b"1")
    before = SavedModelOriginal(tmp_path).digest
    (tmp_path / "variables" / "data").write_bytes(b"2")
    assert SavedModelOriginal(tmp_path).digest != before
