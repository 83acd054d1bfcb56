"""XGBoost: every objective answers as XGBoost does, and what cannot be served is refused with the way out."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.description import Hints
from gateway.repository.kinds.xgboost import XGBoostKind
from tests.backends.fil import tree_models as trees
from tests.backends.fil.tree_models import BINARY, CATEGORICAL, CLASSES, ODD, REGRESSION, ROWS, TARGETS, Array
from tests.gateway.repository.kinds.tree_checks import prepared, reference

pytest.importorskip("treelite", reason="install the extra 'trees'")
xgboost = pytest.importorskip("xgboost", reason="install the extra 'trees'")

KIND = XGBoostKind()
POSITIVE = np.abs(REGRESSION) + 0.1


@pytest.mark.parametrize("suffix", ["json", "ubj"])
@pytest.mark.parametrize(
    ("objective", "label", "extra"),
    [
        ("reg:squarederror", REGRESSION, {}),
        ("reg:squarederror", TARGETS, {}),
        ("reg:squarederror", TARGETS, {"multi_strategy": "multi_output_tree", "tree_method": "hist"}),
        ("reg:quantileerror", REGRESSION, {"quantile_alpha": [0.1, 0.5, 0.9]}),
        ("reg:gamma", POSITIVE, {}),
        ("reg:logistic", BINARY, {}),
        ("count:poisson", POSITIVE, {}),
        ("survival:cox", POSITIVE, {}),
        ("rank:pairwise", BINARY, {}),
        ("binary:logistic", BINARY, {}),
        ("binary:logitraw", BINARY, {}),
        ("binary:hinge", BINARY, {}),
        ("binary:logistic", BINARY, {"booster": "dart", "rate_drop": 0.5}),
        ("binary:logistic", BINARY, {"num_parallel_tree": 3, "subsample": 0.7}),
        ("multi:softprob", CLASSES, {"num_class": 3}),
        ("multi:softmax", CLASSES, {"num_class": 3}),
    ],
)
def test_each_objective_answers_as_booster_predict(
    tmp_path: Path, suffix: str, objective: str, label: Array, extra: dict[str, Any]
) -> None:
    source = tmp_path / f"m.{suffix}"
    want = trees.xgboost(source, label, objective=objective, **extra)
    description, answer = reference(KIND, source, ROWS)
    np.testing.assert_allclose(answer, want.reshape(answer.shape), atol=1e-5)
    assert description.inputs[0].shape == (-1, 5)
    assert (description.backend, description.framework, description.batches) == ("fil", "trees", True)
    assert description.filename == f"xgboost.{suffix}"
    assert description.parameters["model_type"] == f"xgboost_{suffix}"
    assert description.origin["objective"] == objective


def test_multi_class_models_answer_with_probabilities_or_with_the_class_as_they_were_trained(tmp_path: Path) -> None:
    for objective, gives, size in (("multi:softprob", "true", 3), ("multi:softmax", "false", 1)):
        source = tmp_path / f"{gives}.json"
        trees.xgboost(source, CLASSES, objective=objective, num_class=3)
        description, _ = prepared(KIND, source)
        assert (description.parameters["output_class"], description.parameters["predict_proba"]) == ("true", gives)
        assert description.parameters["threshold"] == "0.5"
        assert description.outputs[0].shape == (-1, size)


@pytest.mark.parametrize(
    ("label", "objective"), [(BINARY, "binary:logistic"), (BINARY, None), (CLASSES, None), (CLASSES, "multi:softmax")]
)
def test_a_classifier_of_scikit_learns_kind_answers_as_predict_proba(
    tmp_path: Path, label: Array, objective: str | None
) -> None:
    pytest.importorskip("sklearn", reason="install the extra 'trees'")
    classifier = xgboost.XGBClassifier(n_estimators=3, max_depth=2, n_jobs=1, objective=objective).fit(ROWS, label)
    classifier.save_model(tmp_path / "m.ubj")
    description, answer = reference(KIND, tmp_path / "m.ubj", ROWS)
    np.testing.assert_allclose(answer, classifier.predict_proba(ROWS), atol=1e-6)
    assert description.origin["answers"] == "as predict_proba of XGBoost"


@pytest.mark.parametrize("scikit_learn", [True, False])
def test_after_early_stopping_the_rounds_are_those_that_the_interface_takes(tmp_path: Path, scikit_learn: bool) -> None:
    pytest.importorskip("sklearn", reason="install the extra 'trees'")
    noise = np.random.default_rng(5).permutation(BINARY)
    model = xgboost.XGBClassifier(n_estimators=30, early_stopping_rounds=3, learning_rate=1, n_jobs=1)
    model.fit(ROWS[:100], noise[:100], eval_set=[(ROWS[100:], noise[100:])], verbose=False)
    booster = model.get_booster()
    assert booster.best_iteration + 1 < booster.num_boosted_rounds()
    (model if scikit_learn else booster).save_model(tmp_path / "m.json")
    description, answer = reference(KIND, tmp_path / "m.json", ROWS)
    want = model.predict_proba(ROWS) if scikit_learn else booster.predict(xgboost.DMatrix(ROWS))[:, None]
    np.testing.assert_allclose(answer, want, atol=1e-6)
    assert any("training stopped early" in note for note in description.ambiguous)


def test_categories_are_told_by_the_names_of_their_features(tmp_path: Path) -> None:
    want = trees.xgboost(tmp_path / "m.ubj", ODD, CATEGORICAL, objective="binary:logistic")
    description, answer = reference(KIND, tmp_path / "m.ubj", CATEGORICAL)
    np.testing.assert_allclose(answer[:, 0], want, atol=1e-6)
    assert description.ambiguous == (
        "categorical features take the number of the category as it was in training, from 0: f4",
    )


def test_names_of_categories_that_a_data_frame_had_are_taken_out(tmp_path: Path) -> None:
    want = trees.xgboost(tmp_path / "m.json", ODD, CATEGORICAL, objective="binary:logistic")
    document = json.loads((tmp_path / "m.json").read_text())
    named = {"offsets": list(range(8)), "values": list(b"abcdefg")}
    unnamed: dict[str, list[int]] = {"offsets": [], "values": []}
    document["learner"]["gradient_booster"]["model"]["cats"] = {
        "enc": [unnamed, unnamed, unnamed, unnamed, named],
        "feature_segments": [0, 0, 0, 0, 0, 7],
        "sorted_idx": list(range(7)),
    }
    (tmp_path / "named.json").write_text(json.dumps(document))
    xgboost.Booster(model_file=tmp_path / "named.json").save_model(tmp_path / "named.ubj")
    for source in ("named.json", "named.ubj"):
        description, answer = reference(KIND, tmp_path / source, CATEGORICAL)
        np.testing.assert_allclose(answer[:, 0], want, atol=1e-6)
        assert description.filename == "xgboost.json"


def test_the_names_of_features_are_kept(tmp_path: Path) -> None:
    data = xgboost.DMatrix(ROWS, label=REGRESSION, feature_names=["age", "income", "height", "weight", "shoe"])
    xgboost.train({"nthread": 1}, data, 2).save_model(tmp_path / "m.json")
    description, _ = prepared(KIND, tmp_path / "m.json")
    assert description.origin["features"] == "age, income, height, weight, shoe"


def test_a_field_that_treelite_does_not_know_is_passed_over(tmp_path: Path) -> None:
    trees.xgboost(tmp_path / "m.json", REGRESSION)
    document = json.loads((tmp_path / "m.json").read_text())
    document["learner"]["invented_later"] = 1
    (tmp_path / "m.json").write_text(json.dumps(document))
    description, _ = prepared(KIND, tmp_path / "m.json")
    assert description.parameters["xgboost_allow_unknown_field"] == "true"


def refusal(source: Path) -> str:
    with pytest.raises(ModelRefused) as caught:
        prepared(KIND, source)
    return caught.value.message


def test_a_linear_model_is_refused(tmp_path: Path) -> None:
    data = xgboost.DMatrix(ROWS, label=REGRESSION)
    xgboost.train({"booster": "gblinear", "nthread": 1}, data, 2).save_model(tmp_path / "m.json")
    assert "is a linear model (booster='gblinear'), which has no trees" in refusal(tmp_path / "m.json")


def test_the_old_binary_format_is_refused_with_the_way_to_the_new_one(tmp_path: Path) -> None:
    objective, booster = b"binary:logistic", b"gbtree"
    head = struct.pack("<fIi", 0.5, 5, 0).ljust(136, b"\0")
    names = b"".join(struct.pack("<Q", len(name)) + name for name in (objective, booster))
    for name, content in (("a.model", head + names + bytes(100)), ("b.bin", b"binf" + head + names)):
        (tmp_path / name).write_bytes(content)
        said = refusal(tmp_path / name)
        assert "old binary format" in said
        assert f"save it with booster.save_model('{name[0]}.json')" in said


def test_a_dump_for_people_is_refused(tmp_path: Path) -> None:
    trees.xgboost(tmp_path / "m.json", REGRESSION)
    xgboost.Booster(model_file=tmp_path / "m.json").dump_model(tmp_path / "dump.json", dump_format="json")
    assert "is what dump_model writes for people to read" in refusal(tmp_path / "dump.json")


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    for suffix in ("json", "ubj"):
        source = tmp_path / f"m.{suffix}"
        trees.xgboost(source, REGRESSION)
        source.write_bytes(source.read_bytes()[:-200])
        said = refusal(source)
        assert said.startswith(f"'m.{suffix}' cannot be read by XGBoost {xgboost.__version__}: ")
        assert "/" not in said.split(": ", 1)[1].split(";")[0]


def test_an_answer_that_would_differ_is_refused(tmp_path: Path) -> None:
    trees.xgboost(tmp_path / "m.json", REGRESSION, rounds=20)
    with pytest.raises(ModelRefused, match="served, this model would not answer as XGBoost does: for one of 64"):
        prepared(KIND, tmp_path / "m.json", Hints(tolerance=0))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", b'{"name": "learner"}'),
        ("list.json", b'[{"id": 1}]'),
        ("empty.json", b""),
        ("m.ubj", b"{}"),
        ("m.model", b"anything else"),
    ],
)
def test_other_files_are_not_recognised(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert not KIND.recognise(tmp_path / name)


def test_folders_are_not_recognised(tmp_path: Path) -> None:
    assert not KIND.recognise(tmp_path)
    assert not KIND.recognise(tmp_path / "nowhere.json")


def test_a_model_is_recognised_by_its_content_whatever_its_name(tmp_path: Path) -> None:
    trees.xgboost(tmp_path / "m.ubj", REGRESSION)
    (tmp_path / "m.ubj").rename(tmp_path / "m.model")
    description, _ = prepared(KIND, tmp_path / "m.model")
    assert description.filename == "xgboost.ubj"
    trees.xgboost(tmp_path / "n.json", REGRESSION)
    text = json.loads((tmp_path / "n.json").read_text())
    (tmp_path / "n.json").write_text(json.dumps({"version": text["version"], "learner": text["learner"]}, indent=2))
    assert KIND.recognise(tmp_path / "n.json")
