from pathlib import Path

import numpy as np
import pytest
import sklearn
import skops.io
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from converters.errors import BadData, BadSource, Unsupported
from converters.originals.base import ExportOptions
from converters.originals.scikit_learn import ScikitLearnOriginal, ScikitLearnRunner, load
from tests.converters.framework_models import CLASSES, ROWS, answers, scikit_learn_model


def test_a_skops_file_is_run_and_converted(tmp_path: Path) -> None:
    estimator = scikit_learn_model(LogisticRegression())
    skops.io.dump(estimator, tmp_path / "model.skops")
    original, options = ScikitLearnOriginal(tmp_path / "model.skops"), ExportOptions()
    model, runner = original.to_onnx(options), original.runner(options)
    assert runner.name == f"scikit-learn {sklearn.__version__}"
    expected, found = runner.run({"input": ROWS}), answers(model, {"input": ROWS})
    np.testing.assert_allclose(expected["probabilities"], estimator.predict_proba(ROWS))
    assert found["label"].tolist() == expected["label"].tolist()
    np.testing.assert_allclose(found["probabilities"], expected["probabilities"], atol=1e-6)
    runner.close()


@pytest.mark.parametrize("target", [CLASSES > 0, CLASSES], ids=["two", "three"])
def test_a_classifier_without_probabilities_gives_its_scores(tmp_path: Path, target: object) -> None:
    estimator = scikit_learn_model(LinearSVC(), target)  # type: ignore[arg-type] # a parameter
    skops.io.dump(estimator, tmp_path / "model.skops")
    original, options = ScikitLearnOriginal(tmp_path / "model.skops"), ExportOptions()
    expected, found = original.runner(options).run({"input": ROWS}), answers(original.to_onnx(options), {"input": ROWS})
    assert list(expected) == list(found)
    for name, array in expected.items():
        assert array.shape == found[name].shape
        np.testing.assert_allclose(found[name], array, atol=1e-5)


def test_types_that_may_run_code_are_refused(tmp_path: Path) -> None:
    skops.io.dump(scikit_learn_model(FunctionTransformer(np.log1p), None), tmp_path / "known.skops")
    skops.io.dump(scikit_learn_model(FunctionTransformer(print), None), tmp_path / "print.skops")
    assert load(tmp_path / "known.skops") is not None
    with pytest.raises(BadSource, match=r"types that may run code: builtins\.print"):
        load(tmp_path / "print.skops")


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    skops.io.dump(scikit_learn_model(LogisticRegression()), tmp_path / "model.skops")
    (tmp_path / "cut.skops").write_bytes((tmp_path / "model.skops").read_bytes()[:300])
    with pytest.raises(BadSource, match="cannot be opened as a skops file"):
        load(tmp_path / "cut.skops")


def test_rows_and_estimators_that_do_not_fit_are_told() -> None:
    runner = ScikitLearnRunner(scikit_learn_model(LogisticRegression()))
    with pytest.raises(BadData, match=r"\[rows, 4\]"):
        runner.run({"input": np.ones((2, 3))})

    class Mute(BaseEstimator):  # type: ignore[misc] # scikit-learn has no types here
        n_features_in_ = 4

    with pytest.raises(Unsupported, match="Mute can neither predict nor transform"):
        ScikitLearnRunner(Mute()).run({"input": ROWS})
