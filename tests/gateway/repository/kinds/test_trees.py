"""What the kinds of tree models share."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.kinds.trees import (
    Answer,
    Forest,
    answer_of,
    check_equal,
    describe,
    listed,
    open_forest,
    probes,
    with_gaps,
)
from tests.backends.fil import tree_models as trees
from tests.backends.fil.tree_models import BINARY, CATEGORICAL, CLASSES, ODD, REGRESSION, ROWS, TARGETS, Array

pytest.importorskip("xgboost", reason="install the extra 'trees'")
frontend = pytest.importorskip("treelite.frontend", reason="install the extra 'trees'")


def opened(path: Path) -> Forest:
    return open_forest(functools.partial(frontend.load_xgboost_model, path), path.name, "XGBoost model")


@pytest.mark.parametrize(
    ("label", "extra", "answer", "shape"),
    [
        (REGRESSION, {}, Answer.SCORES, (1,)),
        (TARGETS, {}, Answer.SCORES, (2,)),
        (BINARY, {"objective": "binary:logistic"}, Answer.SCORES, (1,)),
        (BINARY, {"objective": "binary:logistic"}, Answer.PROBABILITIES, (2,)),
        (BINARY, {"objective": "binary:logistic"}, Answer.CLASS, (1,)),
        (CLASSES, {"objective": "multi:softprob", "num_class": 3}, Answer.PROBABILITIES, (3,)),
        (CLASSES, {"objective": "multi:softprob", "num_class": 3}, Answer.CLASS, (1,)),
    ],
)
def test_the_shape_of_an_answer(
    tmp_path: Path, label: Array, extra: dict[str, Any], answer: Answer, shape: tuple[int, ...]
) -> None:
    trees.xgboost(tmp_path / "m.json", label, **extra)
    forest = opened(tmp_path / "m.json")
    assert forest.shape(answer) == shape
    got = forest.predict(ROWS, answer)
    assert (got.shape, got.dtype) == ((200, *shape), np.dtype(np.float32))


def test_classes_are_those_of_the_largest_score(tmp_path: Path) -> None:
    want = trees.xgboost(tmp_path / "m.json", CLASSES, objective="multi:softprob", num_class=3)
    forest = opened(tmp_path / "m.json")
    assert forest.predict(ROWS, Answer.CLASS)[:, 0].tolist() == want.argmax(axis=1).tolist()
    assert forest.classifies


def test_the_probes_try_each_threshold_from_both_sides(tmp_path: Path) -> None:
    trees.xgboost(tmp_path / "m.json", REGRESSION, ROWS * 1000, rounds=1)
    forest = opened(tmp_path / "m.json")
    rows = probes(forest)
    assert (rows.shape, rows.dtype) == ((64, 5), np.dtype(np.float32))
    tree = forest.model.get_tree_accessor(0)
    root, threshold = int(tree.get_field("split_index")[0]), float(tree.get_field("threshold")[0])
    assert abs(threshold) > 10
    assert {bool(side) for side in rows[:, root] < threshold} == {True, False}
    assert len(set(forest.predict(rows, Answer.SCORES)[:, 0].tolist())) > 3


def test_the_probes_of_categories_are_whole_numbers(tmp_path: Path) -> None:
    trees.xgboost(tmp_path / "m.json", ODD, CATEGORICAL)
    values = probes(opened(tmp_path / "m.json"))[:, 4]
    assert values.tolist() == values.astype(int).tolist()
    assert min(values) >= 0
    assert len(set(values.tolist())) > 4


def test_gaps_leave_most_values() -> None:
    share = float(np.isnan(with_gaps(ROWS)).mean())
    assert 0.1 < share < 0.3


def test_a_difference_is_shown() -> None:
    own, served = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 2.0], [3.0, 4.5]])
    assert check_equal("X", own, served, 0.5) == 0.5
    with pytest.raises(ModelRefused, match=r"as X does: for one of 2 made-up rows 3, 4.5 instead of 3, 4; because$"):
        check_equal("X", own, served, 0.01, why="because")


def test_what_treelite_says_comes_without_its_source_lines(tmp_path: Path) -> None:
    (tmp_path / "m.txt").write_text("tree\nversion=v4\n")
    load = functools.partial(frontend.load_lightgbm_model, tmp_path / "m.txt")
    with pytest.raises(ModelRefused) as caught:
        open_forest(load, "m.txt", "LightGBM model")
    assert caught.value.message.startswith(
        "'m.txt' cannot be served as trees: Treelite says of this LightGBM model: Ill"
    )
    assert "/" not in caught.value.message


@pytest.mark.parametrize("answer", list(Answer))
def test_a_description_tells_its_answer(tmp_path: Path, answer: Answer) -> None:
    trees.xgboost(tmp_path / "m.json", BINARY, objective="binary:logistic")
    forest = opened(tmp_path / "m.json")
    description = describe("k", tmp_path / "m.json", forest, answer, model_type="xgboost_json", origin={"a": "b"})
    assert answer_of(description) is answer
    assert description.origin == {"a": "b", "trees": "4"}
    assert ("threshold" in description.parameters) is (answer is not Answer.SCORES)


def test_long_lists_are_cut() -> None:
    assert listed(["a", 1]) == "a, 1"
    assert len(listed(range(10000))) == 1003
