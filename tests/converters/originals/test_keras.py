from pathlib import Path

import numpy as np
import pytest

from converters.errors import BadData
from converters.originals.base import ExportOptions
from converters.originals.keras import KerasOriginal
from converters.to_onnx.frameworks import quiet
from converters.to_onnx.keras import load
from tests.converters.framework_models import answers


def test_the_runner_gives_what_keras_gives_under_the_onnx_names(keras_file: Path) -> None:
    original, options = KerasOriginal(keras_file), ExportOptions()
    runner, model = original.runner(options), original.to_onnx(options)
    assert runner.name.startswith("keras 3")
    steps = np.random.default_rng(0).normal(size=(3, 5, 4)).astype(np.float32)
    found = runner.run({"steps": steps})
    assert list(found) == list(answers(model, {"steps": steps}))
    with quiet():
        expected = np.asarray(load(keras_file)(steps))
    np.testing.assert_allclose(next(iter(found.values())), expected, atol=1e-6)
    with pytest.raises(BadData, match="no 'steps'"):
        runner.run({})
    runner.close()
