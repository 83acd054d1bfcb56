from pathlib import Path

import numpy as np
import pytest

from converters.errors import BadSource, ConfigError, Unsupported
from converters.graph.opset import opset_of
from converters.graph.signature import signature_of
from converters.to_onnx.saved_model import OnnxFromSavedModel, opened
from converters.to_onnx.simplify import SimplifiedFromOnnx
from tests.converters.framework_models import answers


@pytest.mark.parametrize("batch", [1, 3])
def test_the_onnx_gives_what_the_saved_model_gives_for_any_batch(saved_model: Path, batch: int) -> None:
    x = np.random.default_rng(1).normal(size=(batch, 3)).astype(np.float32)
    found = answers(SimplifiedFromOnnx(OnnxFromSavedModel(saved_model))(), {"x": x})
    with opened(saved_model, "serving_default") as (session, signature):
        expected = session.run(dict(signature.outputs), {signature.inputs["x"]: x})
    assert list(found) == ["scores", "total"]
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, atol=1e-6)


def test_the_batch_stays_dynamic_and_the_opset_is_the_chosen_one(saved_model: Path) -> None:
    model = SimplifiedFromOnnx(OnnxFromSavedModel(lambda: saved_model, opset=16))()
    assert opset_of(model) == 16
    assert signature_of(model).batches
    assert opset_of(OnnxFromSavedModel(saved_model)()) == 18


def test_loops_are_kept(saved_model: Path) -> None:
    model = SimplifiedFromOnnx(OnnxFromSavedModel(saved_model, "loop"))()
    x = np.ones((2, 3), np.float32)
    weights = np.arange(9, dtype=np.float32).reshape(3, 3) / 9
    for times in (0, 1, 4):
        expected = x
        for _ in range(times):
            expected = np.tanh(expected @ weights)
        found = answers(model, {"x": x, "times": np.array(times, np.int32)})["y"]
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_lookup_tables_are_kept(saved_model: Path) -> None:
    model = OnnxFromSavedModel(saved_model, "look_up")()
    assert answers(model, {"word": np.array(["b", "?", "a"], object)})["id"].tolist() == [2, -1, 1]


def test_operations_without_a_counterpart_are_named(saved_model: Path) -> None:
    with pytest.raises(Unsupported, match="DecodeRaw") as caught:
        OnnxFromSavedModel(saved_model, "decode")()
    assert caught.value.place.step == "SavedModel to ONNX"


def test_a_dynamic_rank_is_refused(saved_model: Path) -> None:
    with pytest.raises(Unsupported, match="input 'x' may have any number of dimensions"):
        OnnxFromSavedModel(saved_model, "any_rank")()


def test_an_output_of_dynamic_rank_is_no_scalar(saved_model: Path) -> None:
    model = OnnxFromSavedModel(saved_model, "reshaped")()
    assert signature_of(model).outputs[0].shape is None
    x = np.ones((2, 3), np.float32)
    assert answers(model, {"x": x, "shape": np.array([3, 2], np.int64)})["y"].shape == (3, 2)
    with pytest.raises(Unsupported, match="output 'y' may have any number of dimensions"):
        SimplifiedFromOnnx(model)()


def test_an_opset_that_is_too_new_is_refused(saved_model: Path) -> None:
    with pytest.raises(Unsupported, match="opset"):
        OnnxFromSavedModel(saved_model, opset=99)()


def test_an_unknown_signature_is_told(saved_model: Path) -> None:
    with pytest.raises(
        ConfigError, match="no signature 'predict'; it has 'any_rank', 'decode', 'look_up', 'loop', 'reshaped'"
    ):
        OnnxFromSavedModel(saved_model, "predict")()


@pytest.mark.parametrize("content", [None, b"", b"\x08\x01\x12\xff\xff", b"not a protocol buffer"])
def test_a_damaged_saved_model_is_told(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(BadSource, match="SavedModel"):
        OnnxFromSavedModel(tmp_path)()
