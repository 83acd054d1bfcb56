from __future__ import annotations

import numpy as np
import pytest

from converters.errors import BadSource, Unsupported
from converters.to_onnx.lowering.forest import EQ, GTE, LARGEST, LEAF, LEQ, LT, NEQ, Forest, Nodes, forest_of


def stump(mode: int, threshold: float, *, missing: bool = False) -> Forest:
    """One comparison of feature 3; node 1 if it is true, node 2 if not."""
    modes = np.array([mode, LEAF, LEAF])
    zeros = np.zeros(3, np.int64)
    thresholds = np.array([threshold, 0, 0], np.float32)
    children = (np.array([1, 0, 0]), np.array([2, 0, 0]))
    return forest_of(Nodes(modes, zeros + 3, thresholds, np.full(3, missing), *children, np.array([0])))


def test_children_are_neighbours_and_leaves_their_own() -> None:
    forest = stump(LEQ, 0.5)
    assert forest.first.tolist() == [1, 1, 2]
    assert forest.leaves.tolist() == [False, True, True]
    assert (forest.origin.tolist(), forest.depth, forest.trees) == ([0, 1, 2], 1, 1)
    assert forest.upper.tolist() == [0.5, np.inf, np.inf]
    assert not forest.bounded_below


def test_swapped_and_negated_comparisons() -> None:
    forest = stump(LT, 0.5)
    assert forest.origin.tolist() == [0, 2, 1]
    assert forest.upper[0] == -0.5
    assert forest.columns.negated.tolist() == [True]
    assert stump(GTE, 0.5).origin.tolist() == [0, 1, 2]


@pytest.mark.parametrize(("mode", "missing", "value"), [
    (LEQ, False, np.inf), (LEQ, True, -np.inf), (LT, False, -np.inf), (LT, True, np.inf),
    (EQ, False, np.inf), (EQ, True, 0.5), (NEQ, False, np.inf), (NEQ, True, np.inf),
])  # fmt: skip
def test_what_stands_for_missing_values(mode: int, missing: bool, value: float) -> None:
    assert stump(mode, 0.5, missing=missing).columns.missing.tolist() == [value]


def test_a_split_off_of_missing_values_from_all_others() -> None:
    # scikit-learn writes "x <= infinity" for it.
    forest = stump(LEQ, np.inf)
    assert forest.upper[0] == LARGEST
    assert forest.columns.capped.tolist() == [True]


def test_equality_bounds_from_both_sides() -> None:
    forest = stump(EQ, 2.0)
    assert (forest.lower[0], forest.upper[0], forest.bounded_below) == (2.0, 2.0, True)


def test_a_comparison_with_nan_is_refused() -> None:
    with pytest.raises(Unsupported, match="compares with NaN"):
        stump(LEQ, np.nan)


def test_a_node_that_is_its_own_child() -> None:
    modes, zeros = np.array([LEQ, LEAF]), np.zeros(2, np.int64)
    with pytest.raises(BadSource, match="do not make a tree"):
        forest_of(Nodes(modes, zeros, zeros.astype(np.float32), zeros > 0, zeros, zeros + 1, zeros[:1]))
