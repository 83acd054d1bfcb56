from __future__ import annotations

import numpy as np
import onnx
import pytest

from converters.errors import Unsupported
from converters.to_onnx.lowering.emitter import Emitter
from converters.to_onnx.lowering.ensemble import listed_by_branch, listed_by_tree

STUMPS = {
    "nodes_treeids": [5, 5, 5, 2], "nodes_nodeids": [0, 4, 9, 0], "nodes_featureids": [1, 0, 0, 0],
    "nodes_values": [0.5, 0.0, 0.0, 0.0], "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF", "LEAF"],
    "nodes_truenodeids": [9, 0, 0, 0], "nodes_falsenodeids": [4, 0, 0, 0],
    "target_treeids": [5, 5, 2, 5, 5], "target_nodeids": [4, 9, 0, 0, 4], "target_ids": [0, 0, 0, 0, 0],
    "target_weights": [1.0, 2.0, 3.0, 4.0, 5.0],
}  # fmt: skip


def emitter(operator: str, **attributes: object) -> Emitter:
    node = onnx.helper.make_node(operator, ["rows"], ["scores"], name="it", domain="ai.onnx.ml", **attributes)
    return Emitter(node, "it", {}, {}, {})


def test_trees_are_found_by_their_pairs_of_numbers() -> None:
    ensemble = listed_by_tree(emitter("TreeEnsembleRegressor", **STUMPS, base_values=[1.5]), "target", 1)
    forest, votes = ensemble.poll.forest, ensemble.poll.votes
    assert forest.origin.tolist() == [0, 3, 2, 1]
    assert (forest.trees, forest.depth) == (2, 1)
    assert (ensemble.base, ensemble.transform, ensemble.poll.aggregate) == ((1.5,), "NONE", "SUM")
    # The vote of a branch does not count, and of two votes of a leaf for the only target the first.
    assert sorted(zip(votes.leaves.tolist(), votes.weights.tolist(), strict=True)) == [(1, 1.0), (2, 2.0), (3, 3.0)]


def test_float64_is_refused() -> None:
    values = onnx.numpy_helper.from_array(np.zeros(4))
    stumps = {name: value for name, value in STUMPS.items() if name != "nodes_values"}
    with pytest.raises(Unsupported, match="its thresholds are float64"):
        listed_by_tree(emitter("TreeEnsembleRegressor", **stumps, nodes_values_as_tensor=values), "target", 1)


def branches(mode: int, dtype: type) -> Emitter:
    return emitter(
        "TreeEnsemble",
        tree_roots=[0],
        nodes_featureids=[1],
        nodes_modes=onnx.numpy_helper.from_array(np.array([mode], np.uint8)),
        nodes_splits=onnx.numpy_helper.from_array(np.array([0.5], dtype)),
        nodes_truenodeids=[0],
        nodes_trueleafs=[1],
        nodes_falsenodeids=[1],
        nodes_falseleafs=[1],
        leaf_targetids=[0, 0],
        leaf_weights=onnx.numpy_helper.from_array(np.array([1, 2], dtype)),
    )


def test_branches_and_leaves_in_lists_of_their_own() -> None:
    ensemble = listed_by_branch(branches(0, np.float32))
    assert ensemble.poll.forest.origin.tolist() == [0, 1, 2]
    assert ensemble.poll.votes.leaves.tolist() == [1, 2]


def test_sets_and_float64_are_refused() -> None:
    with pytest.raises(Unsupported, match="whether a value is one of a set"):
        listed_by_branch(branches(6, np.float32))
    with pytest.raises(Unsupported, match="its thresholds are float64"):
        listed_by_branch(branches(0, np.float64))
