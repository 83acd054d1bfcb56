from pathlib import Path

import numpy as np
import pytest

from converters.errors import BadSource
from converters.graph.signature import signature_of
from converters.to_onnx.frameworks import quiet
from converters.to_onnx.keras import OnnxFromKeras, load
from converters.to_onnx.simplify import SimplifiedFromOnnx
from tests.converters.framework_models import answers


def test_the_onnx_gives_what_keras_gives_for_any_batch(keras_file: Path) -> None:
    model = SimplifiedFromOnnx(OnnxFromKeras(keras_file))()
    signature = signature_of(model)
    assert [str(tensor) for tensor in signature.inputs] == ["steps: FP32 [batch, 5, 4]"]
    assert signature.batches
    keras = load(keras_file)
    for batch in (1, 3):
        steps = np.random.default_rng(batch).normal(size=(batch, 5, 4)).astype(np.float32)
        with quiet():
            expected = np.asarray(keras(steps))
        found = answers(model, {"steps": steps})[signature.outputs[0].name]
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_damaged_file_is_told(tmp_path: Path, keras_file: Path) -> None:
    cut = tmp_path / "cut.keras"
    cut.write_bytes(keras_file.read_bytes()[:1000])
    with pytest.raises(BadSource, match=r"Keras cannot load 'cut\.keras'"):
        OnnxFromKeras(cut)()
    with pytest.raises(BadSource, match="there is no file"):
        OnnxFromKeras(tmp_path / "none.keras")()
