import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends.common.config import ModelConfig, parse_config
from backends.common.errors import LoadError, RequestError
from backends.common.placement import Placement
from backends.common.signature import complete
from backends.fil.forest import ForestModel, inspect, load
from tests.backends.fil import tree_models as trees
from tests.backends.fil.tree_models import BINARY, CATEGORICAL, CLASSES, ODD, REGRESSION, ROWS, TARGETS, Array

pytest.importorskip("treelite", reason="install the extra 'trees'")
pytest.importorskip("xgboost", reason="install the extra 'trees'")
pytest.importorskip("lightgbm", reason="install the extra 'trees'")
pytest.importorskip("sklearn", reason="install the extra 'trees'")

CPU = Placement("CPU", 0)


def completed(folder: Path, keys: dict[str, Any] | None = None, **parameters: str) -> ModelConfig:
    given = {key: {"string_value": value} for key, value in parameters.items()}
    raw: dict[str, Any] = {"name": "m", "max_batch_size": 0, "parameters": given, **(keys or {})}
    return parse_config({**raw, **complete(raw, inspect(folder, raw))})


def loaded(folder: Path, keys: dict[str, Any] | None = None, **parameters: str) -> ForestModel:
    return load(folder, completed(folder, keys, **parameters), CPU)


def answer(model: ForestModel, rows: Array = ROWS) -> Array:
    result = model.run({"input__0": rows}, ["output__0"])["output__0"]
    assert result.dtype == np.float32
    return result


@pytest.mark.parametrize(("model_type", "name"), [("xgboost_json", "xgboost.json"), ("xgboost_ubj", "xgboost.ubj")])
def test_xgboost_in_both_formats(tmp_path: Path, model_type: str, name: str) -> None:
    want = trees.xgboost(tmp_path / name, REGRESSION)
    np.testing.assert_allclose(answer(loaded(tmp_path, model_type=model_type)), want[:, None], atol=1e-5)


def test_what_xgboost_saves_today_as_model(tmp_path: Path) -> None:
    want = trees.xgboost(tmp_path / "xgboost.ubj", REGRESSION)
    shutil.move(tmp_path / "xgboost.ubj", tmp_path / "xgboost.model")
    np.testing.assert_allclose(answer(loaded(tmp_path)), want[:, None], atol=1e-5)


def test_lightgbm_in_double_precision_answers_in_single(tmp_path: Path) -> None:
    want = trees.lightgbm(tmp_path / "model.txt", CLASSES, objective="multiclass", num_class=3)
    np.testing.assert_allclose(answer(loaded(tmp_path, model_type="lightgbm")), want, atol=1e-6)


@pytest.mark.parametrize("framework", ["xgboost", "lightgbm"])
def test_categories_are_their_numbers(tmp_path: Path, framework: str) -> None:
    name = {"xgboost": "xgboost.json", "lightgbm": "model.txt"}[framework]
    train = getattr(trees, framework)
    want = train(tmp_path / name, ODD, CATEGORICAL, objective={"xgboost": "binary:logistic"}.get(framework, "binary"))
    np.testing.assert_allclose(answer(loaded(tmp_path), CATEGORICAL), want[:, None], atol=1e-6)


def test_a_checkpoint_of_a_random_forest(tmp_path: Path) -> None:
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 - only where scikit-learn is installed

    estimator = RandomForestClassifier(n_estimators=3, random_state=0).fit(ROWS, CLASSES)
    trees.checkpoint(tmp_path / "checkpoint.tl", estimator)
    np.testing.assert_allclose(answer(loaded(tmp_path)), estimator.predict_proba(ROWS), atol=1e-6)
    classes = answer(loaded(tmp_path, output_class="true"))
    assert classes.ravel().tolist() == estimator.predict(ROWS).tolist()


def test_a_checkpoint_of_many_targets_with_many_classes(tmp_path: Path) -> None:
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 - only where scikit-learn is installed

    estimator = RandomForestClassifier(n_estimators=3, random_state=0).fit(ROWS, np.stack([BINARY, CLASSES], 1))
    trees.checkpoint(tmp_path / "checkpoint.tl", estimator)
    scores = answer(loaded(tmp_path))
    assert scores.shape == (200, 2, 3)
    np.testing.assert_allclose(scores[:, 1], estimator.predict_proba(ROWS)[1], atol=1e-6)
    assert answer(loaded(tmp_path, is_classifier="true")).tolist() == estimator.predict(ROWS).tolist()


def test_several_targets_stand_beside_each_other(tmp_path: Path) -> None:
    want = trees.xgboost(tmp_path / "xgboost.json", TARGETS)
    np.testing.assert_allclose(answer(loaded(tmp_path)), want, atol=1e-5)


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Array]:
    folder = tmp_path_factory.mktemp("binary")
    return folder, trees.xgboost(folder / "xgboost.json", BINARY, objective="binary:logistic")


def test_a_binary_classifier_gives_its_one_score(binary: tuple[Path, Array]) -> None:
    folder, want = binary
    np.testing.assert_allclose(answer(loaded(folder)), want[:, None], atol=1e-6)


def test_a_binary_classifier_gives_both_probabilities(binary: tuple[Path, Array]) -> None:
    folder, want = binary
    both = answer(loaded(folder, predict_proba="true"))
    np.testing.assert_allclose(both, np.stack([1 - want, want], axis=1), atol=1e-6)


def test_a_binary_classifier_gives_as_many_probabilities_as_the_dims_say(binary: tuple[Path, Array]) -> None:
    folder, want = binary
    one = [{"name": "output__0", "data_type": "TYPE_FP32", "dims": ["1"]}]
    model = loaded(folder, {"output": one, "max_batch_size": 8}, predict_proba="true", is_classifier="true")
    np.testing.assert_allclose(answer(model), want[:, None], atol=1e-6)


@pytest.mark.parametrize("threshold", [None, "0.2", "0.9"])
def test_a_binary_classifier_decides_by_its_threshold(binary: tuple[Path, Array], threshold: str | None) -> None:
    folder, want = binary
    parameters = {} if threshold is None else {"threshold": threshold}
    classes = answer(loaded(folder, None, output_class="true", **parameters))
    assert classes.ravel().tolist() == (want > float(threshold or 0.5)).astype(float).tolist()


def test_regression_has_no_second_probability(tmp_path: Path) -> None:
    trees.xgboost(tmp_path / "xgboost.json", REGRESSION)
    assert answer(loaded(tmp_path, predict_proba="true")).shape == (200, 1)


def test_what_the_configuration_leaves_out_comes_from_the_model(binary: tuple[Path, Array]) -> None:
    config = completed(binary[0], predict_proba="true")
    assert config.max_batch_size == 4
    assert [(tensor.name, tensor.datatype, tensor.shape) for tensor in (*config.inputs, *config.outputs)] == [
        ("input__0", "TYPE_FP32", (5,)),
        ("output__0", "TYPE_FP32", (2,)),
    ]


def test_missing_values_and_any_number_of_threads(tmp_path: Path) -> None:
    rows = np.where(np.random.default_rng(1).random(ROWS.shape) < 0.3, np.nan, ROWS)
    want = trees.lightgbm(tmp_path / "model.txt", REGRESSION, rows)
    for count in ("1", "2", "-1"):
        np.testing.assert_allclose(answer(loaded(tmp_path, cpu_nthread=count), rows), want[:, None], atol=1e-6)


def tensors(features: int = 5, output: str = "output__0", dims: int = 1) -> dict[str, Any]:
    return {
        "name": "m",
        "max_batch_size": 8,
        "input": [{"name": "input__0", "data_type": "TYPE_FP32", "dims": [features]}],
        "output": [{"name": output, "data_type": "TYPE_FP32", "dims": [dims]}],
    }


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (tensors(features=6), r"input 'input__0': 'dims' give the shape \[-1, 6\] .* but the model has \[-1, 5\]"),
        (tensors(features=-1), r"input 'input__0': 'dims' give the shape \[-1, -1\]"),
        (tensors(dims=3), r"output 'output__0': 'dims' give the shape \[-1, 3\] .* but the model has \[-1, 1\]"),
        (tensors(output="output_0"), "output 'output_0' of config.pbtxt is not in the model; did you mean 'output__0'"),
        (tensors(output="treeshap_output"), "SHAP values are not supported"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(
    binary: tuple[Path, Array], raw: dict[str, Any], message: str
) -> None:
    with pytest.raises(LoadError, match=message):
        load(binary[0], parse_config(raw), CPU)


def test_a_gpu_is_refused_and_taken_as_the_cpu_where_either_will_do(binary: tuple[Path, Array]) -> None:
    with pytest.raises(LoadError, match="this backend runs trees on the CPU only"):
        load(binary[0], parse_config(tensors()), Placement("GPU", 0))
    assert answer(load(binary[0], parse_config(tensors()), Placement("AUTO", 0))).shape == (200, 1)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("xgboost.json", b'{"learner": {"a":', "of the type 'xgboost_json': Provided JSON could not be parsed"),
        ("xgboost.ubj", b"nonsense", "'xgboost.ubj' cannot be opened as a model of the type 'xgboost_ubj'"),
        ("xgboost.model", b"nonsense" * 50, "'xgboost.model' cannot be opened as a model of the type 'xgboost'"),
        ("model.txt", b"tree\n", "of the type 'lightgbm': Ill-formed LightGBM model file: need"),
        ("checkpoint.tl", b"nonsense" * 50, "'checkpoint.tl' .*: Cannot load model from a different major Treelite"),
        ("checkpoint.tl", b"", "the file 'checkpoint.tl' in version .* is empty"),
    ],
)
def test_a_file_that_cannot_be_opened(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LoadError, match=message):
        inspect(tmp_path, {})


def test_linear_trees_are_refused_by_name(tmp_path: Path) -> None:
    trees.lightgbm(tmp_path / "model.txt", REGRESSION, ROWS.astype(np.float64), linear_tree=True)
    with pytest.raises(LoadError, match=r"'lightgbm': LightGBM models with linear trees"):
        inspect(tmp_path, {})


def test_a_model_cut_short_is_a_load_error(tmp_path: Path) -> None:
    from sklearn.ensemble import RandomForestRegressor  # noqa: PLC0415 - only where scikit-learn is installed

    trees.checkpoint(tmp_path / "checkpoint.tl", RandomForestRegressor(3).fit(ROWS, REGRESSION))
    whole = (tmp_path / "checkpoint.tl").read_bytes()
    (tmp_path / "checkpoint.tl").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LoadError, match=r"'checkpoint.tl' cannot be opened as a model of the type"):
        inspect(tmp_path, {})


@pytest.mark.parametrize("rows", [ROWS[:, :4], ROWS[0]])
def test_rows_of_another_shape_are_the_callers_fault(binary: tuple[Path, Array], rows: Array) -> None:
    with pytest.raises(RequestError, match=r"'input__0' must have the shape \[rows, 5\], not \[") as caught:
        loaded(binary[0]).run({"input__0": rows}, ["output__0"])
    assert caught.value.invalid


def test_closing_releases_the_trees(binary: tuple[Path, Array]) -> None:
    model = loaded(binary[0])
    model.close()
    with pytest.raises(ValueError, match='"model" must be a Model'):
        model.run({"input__0": ROWS}, ["output__0"])
