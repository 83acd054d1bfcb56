from pathlib import Path

import lightgbm
import numpy as np
import pytest

from converters.errors import BadData, BadSource
from converters.originals.base import ExportOptions
from converters.originals.lightgbm import LightGBMOriginal, load
from tests.converters.framework_models import ROWS, answers, lightgbm_booster


def test_a_file_is_run_and_converted(tmp_path: Path) -> None:
    booster = lightgbm_booster()
    booster.save_model(tmp_path / "model.txt")
    original, options = LightGBMOriginal(tmp_path / "model.txt"), ExportOptions()
    runner = original.runner(options)
    assert runner.name == f"lightgbm {lightgbm.__version__}"
    expected = runner.run({"input": ROWS})
    np.testing.assert_allclose(expected["probabilities"][:, 1], booster.predict(ROWS), atol=1e-6)
    np.testing.assert_allclose(
        answers(original.to_onnx(options), {"input": ROWS})["probabilities"], expected["probabilities"], atol=1e-6
    )
    with pytest.raises(BadData, match=r"\[rows, 4\]"):
        runner.run({"input": np.ones((2, 3))})
    runner.close()


@pytest.mark.parametrize("cut", [0, 40, 900])
def test_a_damaged_file_is_told(tmp_path: Path, cut: int) -> None:
    (tmp_path / "model.txt").write_text(lightgbm_booster().model_to_string()[:cut])
    with pytest.raises(BadSource, match="cannot be opened as a LightGBM model"):
        load(tmp_path / "model.txt")
    with pytest.raises(BadSource, match="cannot be opened as a LightGBM model"):
        load(tmp_path / "none.txt")
