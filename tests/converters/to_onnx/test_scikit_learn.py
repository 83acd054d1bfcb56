from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from converters.errors import Unsupported
from converters.graph.signature import signature_of
from converters.originals.scikit_learn import ScikitLearnRunner
from converters.to_onnx.scikit_learn import OnnxFromScikitLearn
from converters.to_onnx.simplify import SimplifiedFromOnnx
from tests.converters.framework_models import CLASSES, ROWS, VALUES, answers, scikit_learn_model

WORDS = np.array(["red", "green", "blue"])[CLASSES]
MODELS: dict[str, tuple[Any, Any, list[str]]] = {
    "classifier": (RandomForestClassifier(5, random_state=0), CLASSES, ["label", "probabilities"]),
    "words": (make_pipeline(StandardScaler(), LogisticRegression()), WORDS, ["label", "probabilities"]),
    "regressor": (RandomForestRegressor(5, random_state=0), VALUES, ["prediction"]),
    "transformer": (make_pipeline(StandardScaler(), PCA(2)), None, ["features"]),
    "clusterer": (KMeans(3, n_init=1, random_state=0), None, ["label", "scores"]),
    "outliers": (IsolationForest(n_estimators=5, random_state=0), None, ["label", "scores"]),
}


@pytest.mark.parametrize("kind", MODELS)
def test_the_onnx_gives_what_the_estimator_gives_for_any_batch(kind: str) -> None:
    estimator, target, names = MODELS[kind]
    estimator = scikit_learn_model(estimator, target)
    model = SimplifiedFromOnnx(OnnxFromScikitLearn(estimator))()
    signature = signature_of(model)
    assert [str(each) for each in signature.inputs] == ["input: FP32 [batch, 4]"]
    assert [each.name for each in signature.outputs] == names
    assert signature.batches
    assert {entry.domain: entry.version for entry in model.opset_import} == {"": 18, "ai.onnx.ml": 3}
    runner = ScikitLearnRunner(estimator)
    for rows in (ROWS[:1], ROWS):
        expected, found = runner.run({"input": rows}), answers(model, {"input": rows})
        assert list(expected) == names
        for name, array in expected.items():
            assert found[name].shape == array.shape
            if array.dtype == object:
                assert found[name].tolist() == array.tolist()
            else:
                np.testing.assert_allclose(found[name], array, atol=1e-5)


def test_an_estimator_that_is_not_fitted_is_refused() -> None:
    with pytest.raises(Unsupported, match="LogisticRegression does not say how many features it takes; fit it"):
        OnnxFromScikitLearn(LogisticRegression())()


class Oracle(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn has no types here
    """An estimator that skl2onnx does not know."""

    n_features_in_ = 4
    classes_ = np.array([0, 1])

    def predict(self, rows: Any) -> Any:
        return np.zeros(len(rows), int)


def test_an_estimator_without_converter_is_named() -> None:
    with pytest.raises(Unsupported, match=r"scikit-learn to ONNX: skl2onnx .*Oracle"):
        OnnxFromScikitLearn(Oracle())()
