from __future__ import annotations

import numpy as np
import pytest

from converters.arrays import Array
from converters.to_onnx.lowering.forest import LEAF, LEQ, Forest, Nodes, forest_of
from converters.to_onnx.lowering.votes import Votes


@pytest.fixture
def forest() -> Forest:
    """Two trees of one comparison each: leaves 1 and 2, and 4 and 5."""
    modes = np.array([LEQ, LEAF, LEAF] * 2)
    zeros = np.zeros(6, np.int64)
    true, false = np.array([1, 0, 0, 4, 0, 0]), np.array([2, 0, 0, 5, 0, 0])
    return forest_of(Nodes(modes, zeros, zeros.astype(np.float32), zeros > 0, true, false, np.array([0, 3])))


def votes(targets: list[int]) -> Votes:
    return Votes(np.array([1, 2, 4, 5]), np.array(targets), np.array([1, 2, 3, 4], np.float32), 2)


def rows(table: Array, forest: Forest, *leaves: int) -> list[list[float]]:
    """The table's rows of leaves, which are laid out anew."""
    place = forest.origin.tolist()
    return [table[place.index(leaf)].tolist() for leaf in leaves]


def test_votes_of_a_leaf_for_one_target_are_combined(forest: Forest) -> None:
    some = Votes(np.array([1, 1, 4]), np.array([0, 0, 1]), np.array([1, 2, 4], np.float32), 2)
    assert rows(some.table(forest, np.add.at, 0.0), forest, 1, 2, 4) == [[3, 0], [0, 0], [0, 4]]
    assert rows(some.table(forest, np.minimum.at, np.inf), forest, 1, 2) == [[1, np.inf], [np.inf, np.inf]]


def test_which_targets_always_have_a_vote(forest: Forest) -> None:
    assert votes([0, 0, 0, 1]).always(forest).tolist() == [True, False]
    assert votes([0, 0, 1, 1]).always(forest).tolist() == [True, True]
    assert rows(votes([0, 0, 0, 1]).present(forest), forest, 4, 5) == [[True, False], [False, True]]


def test_trees_that_each_have_one_target_are_grouped(forest: Forest) -> None:
    order = votes([1, 1, 0, 0]).grouped(forest)
    assert order is not None
    assert order.tolist() == [1, 0]
    assert votes([0, 0, 0, 1]).grouped(forest) is None
    assert votes([0, 0, 0, 0]).grouped(forest) is None
