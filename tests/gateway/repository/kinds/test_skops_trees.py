"""Forests of scikit-learn answer as they do in scikit-learn."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.description import Hints
from gateway.repository.kinds.skops import SkopsKind
from gateway.repository.kinds.skops_trees import supported
from tests.backends.fil.tree_models import BINARY, CATEGORICAL, CLASSES, ODD, REGRESSION, ROWS, TARGETS, Array
from tests.gateway.repository.kinds.tree_checks import prepared, reference

pytest.importorskip("treelite", reason="install the extra 'trees'")
pytest.importorskip("skops", reason="install the extra 'trees'")
pytest.importorskip("sklearn", reason="install the extra 'trees'")

import skops.io as skops
from sklearn import ensemble, tree
from sklearn.linear_model import LinearRegression, LogisticRegression

KIND = SkopsKind()
NAMES = np.array(["no", "yes"])[BINARY]


@pytest.mark.parametrize(
    ("estimator", "label", "method"),
    [
        (ensemble.RandomForestClassifier(3), BINARY, "predict_proba"),
        (ensemble.RandomForestClassifier(3), CLASSES, "predict_proba"),
        (ensemble.RandomForestRegressor(3), REGRESSION, "predict"),
        (ensemble.RandomForestRegressor(3), TARGETS, "predict"),
        (ensemble.ExtraTreesClassifier(3), CLASSES, "predict_proba"),
        (ensemble.ExtraTreesRegressor(3), REGRESSION, "predict"),
        (ensemble.GradientBoostingClassifier(n_estimators=3), BINARY, "predict_proba"),
        (ensemble.GradientBoostingClassifier(n_estimators=3), CLASSES, "predict_proba"),
        (ensemble.GradientBoostingRegressor(n_estimators=3, init="zero"), REGRESSION, "predict"),
        (ensemble.HistGradientBoostingClassifier(max_iter=3), BINARY, "predict_proba"),
        (ensemble.HistGradientBoostingClassifier(max_iter=3), CLASSES, "predict_proba"),
        (ensemble.HistGradientBoostingRegressor(max_iter=3), REGRESSION, "predict"),
        (tree.DecisionTreeClassifier(max_depth=4), CLASSES, "predict_proba"),
        (tree.DecisionTreeRegressor(max_depth=4), REGRESSION, "predict"),
        (tree.ExtraTreeRegressor(max_depth=4), TARGETS, "predict"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_estimator_answers_as_it_does_itself(tmp_path: Path, estimator: Any, label: Array, method: str) -> None:
    skops.dump(estimator.fit(ROWS, label), tmp_path / "m.skops")
    description, answer = reference(KIND, tmp_path / "m.skops", ROWS)
    np.testing.assert_allclose(answer, getattr(estimator, method)(ROWS).reshape(answer.shape), atol=1e-6)
    assert description.filename == "checkpoint.tl"
    assert description.origin["producer"] == f"scikit-learn {type(estimator).__name__}"
    assert description.origin["answers"] == f"as {method}"


def test_several_targets_with_classes_of_their_own_lie_side_by_side(tmp_path: Path) -> None:
    forest = ensemble.RandomForestClassifier(3).fit(ROWS, np.stack([BINARY, CLASSES], axis=1))
    skops.dump(forest, tmp_path / "m.skops")
    description, answer = reference(KIND, tmp_path / "m.skops", ROWS)
    assert description.outputs[0].shape == (-1, 2, 3)
    np.testing.assert_allclose(answer[:, 0, :2], forest.predict_proba(ROWS)[0], atol=1e-6)
    np.testing.assert_allclose(answer[:, 1], forest.predict_proba(ROWS)[1], atol=1e-6)


def test_an_isolation_forest_answers_with_the_anomaly_score(tmp_path: Path) -> None:
    forest = ensemble.IsolationForest(n_estimators=5, random_state=0).fit(ROWS)
    skops.dump(forest, tmp_path / "m.skops")
    description, answer = reference(KIND, tmp_path / "m.skops", ROWS)
    np.testing.assert_allclose(answer[:, 0], -forest.score_samples(ROWS), atol=1e-6)
    (note,) = description.ambiguous
    assert "decision_function(X) is 0.5 minus the answer" in note
    np.testing.assert_allclose(0.5 - answer[:, 0], forest.decision_function(ROWS), atol=1e-6)


def test_categorical_features(tmp_path: Path) -> None:
    model = ensemble.HistGradientBoostingClassifier(max_iter=3, categorical_features=[4]).fit(CATEGORICAL, ODD)
    skops.dump(model, tmp_path / "m.skops")
    _, answer = reference(KIND, tmp_path / "m.skops", CATEGORICAL)
    np.testing.assert_allclose(answer, model.predict_proba(CATEGORICAL), atol=1e-6)


def test_missing_values_are_checked_where_the_model_takes_them(tmp_path: Path) -> None:
    rows = np.where(np.random.default_rng(1).random(ROWS.shape) < 0.3, np.nan, ROWS)
    model = ensemble.RandomForestClassifier(3).fit(rows, BINARY)
    skops.dump(model, tmp_path / "m.skops")
    _, answer = reference(KIND, tmp_path / "m.skops", rows)
    np.testing.assert_allclose(answer, model.predict_proba(rows), atol=1e-6)


def test_the_names_of_classes_become_labels(tmp_path: Path) -> None:
    skops.dump(ensemble.RandomForestClassifier(3).fit(ROWS, NAMES), tmp_path / "m.skops")
    description, version = prepared(KIND, tmp_path / "m.skops")
    assert description.outputs[0].labels == "labels.txt"
    assert (version.parent / "labels.txt").read_text() == "no\nyes\n"


def test_labels_that_somebody_gave_are_left_to_them(tmp_path: Path) -> None:
    skops.dump(ensemble.RandomForestClassifier(3).fit(ROWS, NAMES), tmp_path / "m.skops")
    description, _ = prepared(KIND, tmp_path / "m.skops", Hints(labels={"output__0": ("a", "b")}))
    assert description.outputs[0].labels == ""


def test_an_answer_that_would_differ_is_refused(tmp_path: Path) -> None:
    skops.dump(ensemble.HistGradientBoostingClassifier(max_iter=5).fit(ROWS, CLASSES), tmp_path / "m.skops")
    with pytest.raises(ModelRefused, match="would not answer as scikit-learn does"):
        prepared(KIND, tmp_path / "m.skops", Hints(tolerance=0))


def test_what_is_no_forest_goes_another_way() -> None:
    own_start = ensemble.GradientBoostingRegressor(n_estimators=2, init=LinearRegression()).fit(ROWS, REGRESSION)
    assert supported(own_start) is None
    assert supported(LogisticRegression().fit(ROWS, BINARY)) is None
