from typing import Any

import numpy as np
import pytest

from converters.errors import Unsupported
from converters.graph.signature import signature_of
from converters.originals.lightgbm import LightGBMRunner
from converters.to_onnx.lightgbm import OnnxFromLightGBM, _lines, booster_of, is_classifier
from converters.to_onnx.simplify import SimplifiedFromOnnx
from tests.converters.framework_models import CLASSES, ROWS, VALUES, answers, lightgbm_booster

HOLES = ROWS.copy()
HOLES[::5, 1] = np.nan

CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "binary": (CLASSES > 0, {}),
    "multiclass": (CLASSES, {"num_class": 3}),
    "regression": (VALUES, {}),
    "regression_l1": (VALUES, {}),
    "huber": (VALUES, {}),
    "quantile": (VALUES, {}),
    "poisson": (VALUES, {}),
    "gamma": (VALUES, {}),
    "tweedie": (VALUES, {}),
}


@pytest.mark.parametrize("objective", CASES)
def test_the_onnx_gives_what_the_booster_gives_for_any_batch(objective: str) -> None:
    target, options = CASES[objective]
    booster = lightgbm_booster(objective, target, **options)
    model = SimplifiedFromOnnx(OnnxFromLightGBM(booster))()
    assert signature_of(model).batches
    runner = LightGBMRunner(booster)
    for rows in (ROWS[:1], HOLES):
        expected, found = runner.run({"input": rows}), answers(model, {"input": rows})
        assert list(found) == list(expected)
        for name, array in expected.items():
            np.testing.assert_allclose(found[name], array, atol=1e-5, err_msg=name)


def test_the_runner_gives_what_lightgbm_says() -> None:
    booster = lightgbm_booster()
    found = LightGBMRunner(booster).run({"input": ROWS})
    np.testing.assert_allclose(found["probabilities"][:, 1], booster.predict(ROWS), atol=1e-6)
    assert found["label"].tolist() == (booster.predict(ROWS) > 0.5).astype(int).tolist()


def test_the_booster_of_a_model_is_taken() -> None:
    booster = lightgbm_booster()

    class Model:
        booster_ = booster

    assert booster_of(Model()) is booster
    assert booster_of(booster) is booster
    assert is_classifier(booster)
    assert not is_classifier(lightgbm_booster("regression", VALUES))


@pytest.mark.parametrize(
    ("objective", "target", "options", "told"),
    [
        ("regression", VALUES, {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, "random forest"),
        ("regression", VALUES, {"linear_tree": True}, "linear models in their leaves"),
        ("regression", VALUES, {"reg_sqrt": True}, "square root"),
        ("binary", CLASSES > 0, {"sigmoid": 2.0}, "scaled sigmoid 'sigmoid:2'"),
        ("multiclassova", CLASSES, {"num_class": 3}, "objective 'multiclassova'"),
        ("cross_entropy", CLASSES > 0, {}, "objective 'cross_entropy'"),
    ],
)
def test_what_would_be_converted_wrongly_is_refused(
    objective: str, target: Any, options: dict[str, Any], told: str
) -> None:
    booster = lightgbm_booster(objective, target, **options)
    with pytest.raises(Unsupported, match=told):
        OnnxFromLightGBM(booster)()


def test_zeros_for_missing_values_are_refused() -> None:
    import lightgbm  # noqa: PLC0415 - slow

    rows = np.where(np.abs(ROWS) < 0.5, 0, ROWS)
    settings = {
        "objective": "regression",
        "verbosity": -1,
        "min_data_in_leaf": 3,
        "num_threads": 1,
        "zero_as_missing": True,
    }
    booster = lightgbm.train(settings, lightgbm.Dataset(rows, label=VALUES), 5)
    with pytest.raises(Unsupported, match="zero_as_missing"):
        OnnxFromLightGBM(booster)()


def test_an_objective_of_the_users_own_is_refused() -> None:
    booster = lightgbm_booster("regression", VALUES)
    import lightgbm  # noqa: PLC0415 - slow

    text = booster.model_to_string().replace("objective=regression\n", "")
    with pytest.raises(Unsupported, match="an objective of the user's own"):
        OnnxFromLightGBM(lightgbm.Booster(model_str=text))()


def test_rows_between_a_threshold_and_its_nearest_float32_go_as_they_went() -> None:
    booster = lightgbm_booster("regression", VALUES)
    thresholds = [float(each) for line in _lines(booster, "threshold=") for each in line]
    nearest = np.array(sorted({np.float32(each) for each in thresholds}))
    above = nearest[[any(float(n) > t and np.float32(t) == n for t in thresholds) for n in nearest]]
    assert len(above), "no threshold is rounded up: the case is not there"
    rows = np.tile(above[:, None], (1, ROWS.shape[1]))
    found = answers(OnnxFromLightGBM(booster)(), {"input": rows})["prediction"]
    np.testing.assert_allclose(found[:, 0], booster.predict(rows.astype(np.float64)), atol=1e-5)
