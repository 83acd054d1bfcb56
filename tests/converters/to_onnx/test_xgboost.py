from typing import Any

import numpy as np
import pytest
import xgboost

from converters.errors import Unsupported
from converters.graph.signature import signature_of
from converters.originals.xgboost import XGBoostRunner
from converters.to_onnx.frameworks import quiet
from converters.to_onnx.simplify import SimplifiedFromOnnx
from converters.to_onnx.xgboost import OnnxFromXGBoost, booster_of
from tests.converters.framework_models import CLASSES, ROWS, VALUES, answers, xgboost_booster

HOLES = ROWS.copy()
HOLES[::5, 1] = np.nan

CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "binary:logistic": (CLASSES > 0, {"base_score": 0.3}),
    "multi:softprob": (CLASSES, {"num_class": 3}),
    "multi:softmax": (CLASSES, {"num_class": 3}),
    "reg:squarederror": (VALUES, {}),
    "reg:absoluteerror": (VALUES, {}),
    "reg:squaredlogerror": (VALUES, {}),
    "reg:pseudohubererror": (VALUES, {}),
    "reg:gamma": (VALUES, {}),
    "reg:tweedie": (VALUES, {}),
    "count:poisson": (np.floor(VALUES), {}),
    "rank:pairwise": (CLASSES, {}),
    "rank:ndcg": (CLASSES, {}),
}


@pytest.mark.parametrize("objective", CASES)
def test_the_onnx_gives_what_the_booster_gives_for_any_batch(objective: str) -> None:
    target, options = CASES[objective]
    booster = xgboost_booster(objective, target, **options)
    model = SimplifiedFromOnnx(OnnxFromXGBoost(booster))()
    assert signature_of(model).batches
    runner = XGBoostRunner(booster)
    for rows in (ROWS[:1], HOLES):
        expected, found = runner.run({"input": rows}), answers(model, {"input": rows})
        assert list(found) == list(expected)
        for name, array in expected.items():
            np.testing.assert_allclose(found[name], array, atol=1e-5, err_msg=name)


def test_the_runner_gives_what_xgboost_says() -> None:
    booster = xgboost_booster()
    positive = booster.predict(xgboost.DMatrix(ROWS))
    found = XGBoostRunner(booster).run({"input": ROWS})
    np.testing.assert_allclose(found["probabilities"][:, 1], positive)
    assert found["label"].tolist() == (positive > 0.5).astype(int).tolist()
    softmax = xgboost_booster("multi:softmax", CLASSES, num_class=3)
    labels = XGBoostRunner(softmax).run({"input": ROWS})["label"]
    assert labels.tolist() == softmax.predict(xgboost.DMatrix(ROWS)).astype(int).tolist()


def test_a_single_tree_with_whole_counts_is_a_classifier_still() -> None:
    booster = xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(ROWS, label=CLASSES > 0), 1)
    assert list(answers(OnnxFromXGBoost(booster)(), {"input": ROWS})) == ["label", "probabilities"]


def test_feature_names_do_not_matter() -> None:
    matrix = xgboost.DMatrix(ROWS, label=VALUES, feature_names=["age", "height", "f9", "x y"])
    booster = xgboost.train({}, matrix, 3)
    expected = booster.predict(matrix)
    np.testing.assert_allclose(answers(OnnxFromXGBoost(booster)(), {"input": ROWS})["prediction"][:, 0], expected, 1e-5)
    assert booster.feature_names == ["age", "height", "f9", "x y"]


def test_models_of_the_scikit_learn_interface_stop_at_their_best_iteration() -> None:
    noise = np.random.default_rng(0).integers(0, 2, 60)
    model = xgboost.XGBClassifier(n_estimators=30, early_stopping_rounds=3)
    model.fit(ROWS, CLASSES > 0, eval_set=[(ROWS, noise)], verbose=False)
    assert model.best_iteration < 29
    assert booster_of(model).num_boosted_rounds() == model.best_iteration + 1
    found = answers(OnnxFromXGBoost(model)(), {"input": ROWS})
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(ROWS), atol=1e-5)


@pytest.mark.parametrize(
    ("objective", "options", "told"),
    [
        ("reg:squarederror", {"booster": "dart"}, "kind 'dart'"),
        ("reg:squarederror", {"booster": "gblinear"}, "kind 'gblinear'"),
        ("reg:logistic", {}, "objective 'reg:logistic' has no counterpart"),
        ("binary:logitraw", {}, "objective 'binary:logitraw'"),
    ],
)
def test_what_would_be_converted_wrongly_is_refused(objective: str, options: dict[str, str], told: str) -> None:
    with quiet():
        booster = xgboost_booster(objective, CLASSES > 0, **options)
    with pytest.raises(Unsupported, match=told):
        OnnxFromXGBoost(booster)()


def test_several_targets_are_refused() -> None:
    booster = xgboost_booster("reg:squarederror", np.stack([VALUES, VALUES], axis=1))
    with pytest.raises(Unsupported, match="2 targets"):
        OnnxFromXGBoost(booster)()
