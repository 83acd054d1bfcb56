from pathlib import Path

import numpy as np
import pytest
import xgboost

from converters.errors import BadData, BadSource
from converters.originals.base import ExportOptions
from converters.originals.xgboost import XGBoostOriginal, load
from tests.converters.framework_models import ROWS, answers, xgboost_booster


@pytest.mark.parametrize("name", ["model.ubj", "model.json"])
def test_a_file_is_run_and_converted(tmp_path: Path, name: str) -> None:
    booster = xgboost_booster()
    booster.save_model(tmp_path / name)
    original, options = XGBoostOriginal(tmp_path / name), ExportOptions()
    runner = original.runner(options)
    assert runner.name == f"xgboost {xgboost.__version__}"
    expected = runner.run({"input": ROWS})
    np.testing.assert_allclose(expected["probabilities"][:, 1], booster.predict(xgboost.DMatrix(ROWS)))
    np.testing.assert_allclose(
        answers(original.to_onnx(options), {"input": ROWS})["probabilities"], expected["probabilities"], atol=1e-6
    )
    with pytest.raises(BadData, match=r"\[rows, 4\]"):
        runner.run({"input": np.ones((2, 3))})
    runner.close()


@pytest.mark.parametrize("content", [b"{L\x00", b"", b"nothing", b"{}"])
def test_a_damaged_file_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.ubj").write_bytes(content)
    with pytest.raises(BadSource, match="cannot be opened as an XGBoost model"):
        load(tmp_path / "model.ubj")
