from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from converters.arrays import Array
from converters.errors import BadSource, Unsupported
from converters.to_onnx.lowering.tensor_operators import TensorOperatorsFromOnnx
from tests.converters.to_onnx.lowering.conftest import Build, Compare, Model, Trees

FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64


def votes(
    kind: str, leaves: list[tuple[int, int]], targets: list[list[int]], rng: np.random.Generator, low: float
) -> dict[str, Any]:
    """Each leaf votes for the targets that are listed for it."""
    named = [(tree, node, target) for (tree, node), some in zip(leaves, targets, strict=True) for target in some]
    return {
        f"{kind}_treeids": [tree for tree, _, _ in named],
        f"{kind}_nodeids": [node for _, node, _ in named],
        f"{kind}_ids": [target for _, _, target in named],
        f"{kind}_weights": rng.uniform(low, 1, len(named)).astype(np.float32).tolist(),
    }


@pytest.mark.parametrize("aggregate", ["SUM", "AVERAGE", "MIN", "MAX"])
@pytest.mark.parametrize("targets", [1, 3])
@pytest.mark.parametrize("seed", range(4))
def test_regressor_of_mixed_modes_and_missing_values(
    compare: Compare,
    classical: Model,
    random_trees: Trees,
    awkward_rows: Array,
    aggregate: str,
    targets: int,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    trees = random_trees(rng)
    leaves = trees.pop("leaves")
    chosen = [rng.choice(targets, rng.integers(1, targets + 1), replace=False).tolist() for _ in leaves]
    base = {"base_values": rng.normal(size=targets).astype(np.float32).tolist()} if seed % 2 else {}
    attributes = trees | votes("target", leaves, chosen, rng, -1) | base
    compare(
        classical("TreeEnsembleRegressor", FLOAT, n_targets=targets, aggregate_function=aggregate, **attributes),
        awkward_rows,
    )


@pytest.mark.parametrize("mode", ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"])
def test_each_mode_alone(
    compare: Compare, classical: Model, random_trees: Trees, awkward_rows: Array, mode: str
) -> None:
    rng = np.random.default_rng(3)
    trees = random_trees(rng, modes=(mode,))
    leaves = trees.pop("leaves")
    attributes = trees | votes("target", leaves, [[0]] * len(leaves), rng, -1)
    compare(classical("TreeEnsembleRegressor", FLOAT, n_targets=1, **attributes), awkward_rows)
    del attributes["nodes_missing_value_tracks_true"]
    compare(classical("TreeEnsembleRegressor", FLOAT, n_targets=1, version=1, **attributes), awkward_rows)


@pytest.mark.parametrize("transform", ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"])
@pytest.mark.parametrize("based", [False, True])
def test_classifier_of_many_classes_of_which_leaves_vote_for_some(
    compare: Compare, classical: Model, random_trees: Trees, awkward_rows: Array, transform: str, based: bool
) -> None:
    rng = np.random.default_rng(11)
    trees = random_trees(rng)
    leaves = trees.pop("leaves")
    attributes = trees | votes("class", leaves, [[int(rng.integers(3))] for _ in leaves], rng, -1)
    attributes["class_weights"] = (-np.abs(attributes["class_weights"])).tolist()
    if based:
        attributes["base_values"] = [0.1, -0.2, 0.3, 0.05]
    model = classical(
        "TreeEnsembleClassifier", INT64, FLOAT, classlabels_int64s=[7, 3, 5, 9], post_transform=transform, **attributes
    )
    compare(model, awkward_rows)


@pytest.mark.parametrize("transform", ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"])
@pytest.mark.parametrize("low", [-1.0, 0.0])
@pytest.mark.parametrize("classes", [[0], [1], [0, 1]])
@pytest.mark.parametrize("base", [[], [0.25], [0.25, -0.5]])
def test_classifier_of_two_classes(
    compare: Compare,
    classical: Model,
    random_trees: Trees,
    awkward_rows: Array,
    transform: str,
    low: float,
    classes: list[int],
    base: list[float],
) -> None:
    rng = np.random.default_rng(5)
    trees = random_trees(rng, trees=3, depth=3)
    leaves = trees.pop("leaves")
    attributes = trees | votes("class", leaves, [classes] * len(leaves), rng, low)
    if low == 0:
        attributes["class_weights"] = (np.array(attributes["class_weights"]) / 3).tolist()
    if base:
        attributes["base_values"] = base
    model = classical(
        "TreeEnsembleClassifier", INT64, FLOAT, classlabels_int64s=[4, 8], post_transform=transform, **attributes
    )
    compare(model, awkward_rows)


def test_classifier_of_one_class(compare: Compare, classical: Model, random_trees: Trees, awkward_rows: Array) -> None:
    rng = np.random.default_rng(6)
    trees = random_trees(rng)
    leaves = trees.pop("leaves")
    attributes = trees | votes("class", leaves, [[0]] * len(leaves), rng, -1)
    compare(classical("TreeEnsembleClassifier", INT64, FLOAT, classlabels_int64s=[4], **attributes), awkward_rows)


@pytest.mark.parametrize("kind", [onnx.TensorProto.INT64, onnx.TensorProto.INT32])
def test_whole_number_features(compare: Compare, classical: Model, random_trees: Trees, kind: int) -> None:
    rng = np.random.default_rng(8)
    trees = random_trees(rng)
    leaves = trees.pop("leaves")
    attributes = trees | votes("class", leaves, [[0]] * len(leaves), rng, -1)
    rows = rng.integers(-3, 4, (50, 4)).astype(onnx.helper.tensor_dtype_to_np_dtype(kind))
    labels = {"classlabels_int64s": [0, 1]}
    compare(classical("TreeEnsembleClassifier", INT64, FLOAT, kind=kind, **labels, **attributes), rows)


def test_trees_that_are_single_leaves(compare: Compare, classical: Model, awkward_rows: Array) -> None:
    names = ("nodeids", "featureids", "truenodeids", "falsenodeids")
    attributes: dict[str, Any] = {f"nodes_{name}": [0, 0] for name in names}
    attributes |= {"nodes_treeids": [0, 1], "nodes_values": [0.0, 0.0], "nodes_modes": ["LEAF", "LEAF"]}
    attributes |= {"target_treeids": [0, 1], "target_nodeids": [0, 0], "target_ids": [0, 0]}
    model = classical("TreeEnsembleRegressor", FLOAT, n_targets=1, target_weights=[1.5, 2.0], **attributes)
    (given,) = compare(model, awkward_rows)
    assert given.tolist() == [[3.5]] * len(awkward_rows)


@pytest.mark.parametrize("targets", [1, 2])
def test_the_newest_operator(compare: Compare, classical: Model, awkward_rows: Array, targets: int) -> None:
    rng = np.random.default_rng(9)
    model = classical(
        "TreeEnsemble",
        FLOAT,
        version=5,
        n_targets=targets,
        aggregate_function=1,
        post_transform=0,
        tree_roots=[0, 3],
        nodes_featureids=[0, 1, 2, 3],
        nodes_modes=onnx.numpy_helper.from_array(np.array([0, 1, 4, 3], np.uint8)),
        nodes_splits=onnx.numpy_helper.from_array(np.array([0.5, -1, 1, 0], np.float32)),
        nodes_truenodeids=[1, 0, 2, 4],
        nodes_trueleafs=[0, 1, 1, 1],
        nodes_falsenodeids=[2, 1, 3, 5],
        nodes_falseleafs=[0, 1, 1, 1],
        nodes_missing_value_tracks_true=[0, 1, 1, 0],
        leaf_targetids=[0, targets - 1, 0, targets - 1, 0, targets - 1],
        leaf_weights=onnx.numpy_helper.from_array(rng.normal(size=6).astype(np.float32)),
    )
    compare(model, awkward_rows)


def test_engines(build: Build, classical: Model, random_trees: Trees) -> None:
    rng = np.random.default_rng(10)
    trees = random_trees(rng, trees=3, depth=3)
    leaves = trees.pop("leaves")
    attributes = trees | votes("class", leaves, [[int(rng.integers(3))] for _ in leaves], rng, -1)
    build(classical("TreeEnsembleClassifier", INT64, FLOAT, classlabels_int64s=[7, 3, 5], **attributes))


def test_a_tree_that_bites_its_tail(classical: Model) -> None:
    attributes: dict[str, Any] = {
        "nodes_treeids": [0, 0, 0], "nodes_nodeids": [0, 1, 2], "nodes_featureids": [0, 0, 0],
        "nodes_values": [0.0, 0.0, 0.0], "nodes_modes": ["BRANCH_LEQ", "BRANCH_LEQ", "LEAF"],
        "nodes_truenodeids": [1, 0, 0], "nodes_falsenodeids": [2, 2, 0],
        "target_treeids": [0], "target_nodeids": [2], "target_ids": [0], "target_weights": [1.0],
    }  # fmt: skip
    with pytest.raises(BadSource, match=r"node it \(TreeEnsembleRegressor\): a tree's nodes do not make a tree"):
        TensorOperatorsFromOnnx(classical("TreeEnsembleRegressor", FLOAT, n_targets=1, **attributes))()
    attributes["nodes_truenodeids"] = [1, 9, 0]
    with pytest.raises(BadSource, match="names a node that it does not have"):
        TensorOperatorsFromOnnx(classical("TreeEnsembleRegressor", FLOAT, n_targets=1, **attributes))()


def test_what_is_refused(classical: Model, random_trees: Trees) -> None:
    rng = np.random.default_rng(12)
    trees = random_trees(rng)
    leaves = trees.pop("leaves")
    double = onnx.TensorProto.DOUBLE
    attributes = trees | votes("target", leaves, [[0]] * len(leaves), rng, -1)
    with pytest.raises(Unsupported, match="rows is float64"):
        TensorOperatorsFromOnnx(classical("TreeEnsembleRegressor", FLOAT, kind=double, n_targets=1, **attributes))()
    sometimes = trees | votes("class", leaves, [[n % 2] for n in range(len(leaves))], rng, -1)
    with pytest.raises(Unsupported, match="only some leaves vote for one of two classes"):
        TensorOperatorsFromOnnx(
            classical("TreeEnsembleClassifier", INT64, FLOAT, classlabels_int64s=[0, 1], **sometimes)
        )()
