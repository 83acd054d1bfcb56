"""LightGBM: every objective answers as LightGBM does, and what cannot be served is refused with the way out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.kinds.lightgbm import LightGBMKind
from tests.backends.fil import tree_models as trees
from tests.backends.fil.tree_models import BINARY, CATEGORICAL, CLASSES, ODD, REGRESSION, ROWS, Array
from tests.gateway.repository.kinds.tree_checks import prepared, reference

pytest.importorskip("treelite", reason="install the extra 'trees'")
lightgbm = pytest.importorskip("lightgbm", reason="install the extra 'trees'")

KIND = LightGBMKind()


@pytest.mark.parametrize(
    ("objective", "label", "extra"),
    [
        ("regression", REGRESSION, {}),
        ("regression", np.abs(REGRESSION), {"reg_sqrt": True}),
        ("poisson", np.abs(REGRESSION), {}),
        ("quantile", REGRESSION, {}),
        ("binary", BINARY, {}),
        ("binary", BINARY, {"sigmoid": 2.0}),
        ("binary", BINARY, {"boosting": "dart"}),
        ("binary", BINARY, {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.7}),
        ("multiclass", CLASSES, {"num_class": 3}),
        ("multiclassova", CLASSES, {"num_class": 3}),
        ("cross_entropy", BINARY, {}),
    ],
)
def test_each_objective_answers_as_booster_predict(
    tmp_path: Path, objective: str, label: Array, extra: dict[str, Any]
) -> None:
    want = trees.lightgbm(tmp_path / "m.txt", label, objective=objective, **extra)
    description, answer = reference(KIND, tmp_path / "m.txt", ROWS)
    np.testing.assert_allclose(answer, want.reshape(answer.shape), atol=1e-6)
    assert (description.backend, description.framework, description.batches) == ("fil", "trees", True)
    assert (description.filename, description.parameters["model_type"]) == ("model.txt", "lightgbm")
    assert description.origin["objective"].split()[0] == objective
    assert description.origin["features"] == "Column_0, Column_1, Column_2, Column_3, Column_4"
    assert description.ambiguous == ()


def test_several_classes_are_probabilities_to_the_native_backend(tmp_path: Path) -> None:
    trees.lightgbm(tmp_path / "m.txt", CLASSES, objective="multiclass", num_class=3)
    description, _ = prepared(KIND, tmp_path / "m.txt")
    assert description.parameters["predict_proba"] == "true"
    assert description.outputs[0].shape == (-1, 3)


def test_categories_are_told_by_the_names_of_their_features(tmp_path: Path) -> None:
    want = trees.lightgbm(tmp_path / "m.txt", ODD, CATEGORICAL, objective="binary")
    with (tmp_path / "m.txt").open("a") as file:  # as for a data frame
        file.write('\npandas_categorical:[["a", "b", "c", "d", "e", "f", "g"]]\n')
    description, answer = reference(KIND, tmp_path / "m.txt", CATEGORICAL)
    np.testing.assert_allclose(answer[:, 0], want, atol=1e-6)
    (note,) = description.ambiguous
    assert note.endswith('from 0, in the order [["a", "b", "c", "d", "e", "f", "g"]]: Column_4')


def test_a_feature_that_is_split_at_zero(tmp_path: Path) -> None:
    counts = np.maximum(np.round(ROWS), 0)
    want = trees.lightgbm(tmp_path / "m.txt", REGRESSION, counts, min_data_in_leaf=2)
    assert "1.0000000180025095e-35" in (tmp_path / "m.txt").read_text()
    _, answer = reference(KIND, tmp_path / "m.txt", counts)
    np.testing.assert_allclose(answer[:, 0], want, atol=1e-6)


def test_a_model_trained_with_missing_values(tmp_path: Path) -> None:
    rows = np.where(np.random.default_rng(1).random(ROWS.shape) < 0.3, np.nan, ROWS)
    want = trees.lightgbm(tmp_path / "m.txt", REGRESSION, rows)
    _, answer = reference(KIND, tmp_path / "m.txt", rows)
    np.testing.assert_allclose(answer[:, 0], want, atol=1e-6)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"linear_tree": True}, "has linear models in its leaves"),
        ({"zero_as_missing": True}, "was trained with zero_as_missing=True"),
    ],
)
def test_what_treelite_cannot_run_is_refused(tmp_path: Path, parameters: dict[str, Any], message: str) -> None:
    trees.lightgbm(tmp_path / "m.txt", REGRESSION, ROWS.astype(np.float64), **parameters)
    with pytest.raises(ModelRefused, match=f"^'m.txt' {message}"):
        prepared(KIND, tmp_path / "m.txt")


@pytest.mark.parametrize("kept", [0.2, 0.7])
def test_a_file_cut_short_is_refused(tmp_path: Path, kept: float) -> None:
    trees.lightgbm(tmp_path / "m.txt", REGRESSION)
    text, _, _ = (tmp_path / "m.txt").read_text().partition("end of trees")
    (tmp_path / "m.txt").write_text(text[: int(len(text) * kept)])
    with pytest.raises(ModelRefused, match=r"^'m.txt' was cut short"):
        prepared(KIND, tmp_path / "m.txt")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    trees.lightgbm(tmp_path / "m.txt", REGRESSION)
    text = (tmp_path / "m.txt").read_text()
    (tmp_path / "m.txt").write_text(text.replace("max_feature_idx", "max_feature"))
    with pytest.raises(ModelRefused, match=r"^'m.txt' cannot be served as trees: .*need max_feature_idx"):
        prepared(KIND, tmp_path / "m.txt")


def test_a_dump_for_people_is_refused(tmp_path: Path) -> None:
    trees.lightgbm(tmp_path / "m.txt", REGRESSION)
    dump = lightgbm.Booster(model_file=tmp_path / "m.txt").dump_model()
    (tmp_path / "dump.json").write_text(json.dumps(dump))
    with pytest.raises(ModelRefused, match=r"^'dump.json' is what dump_model writes for people to read"):
        prepared(KIND, tmp_path / "dump.json")


@pytest.mark.parametrize("content", [b"", b"tree\n", b"some notes\n", b'{"name": "tree"}'])
def test_other_text_is_not_recognised(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "notes.txt").write_bytes(content)
    assert not KIND.recognise(tmp_path / "notes.txt")
    assert not KIND.recognise(tmp_path)
