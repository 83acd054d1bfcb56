"""Decision trees as flat tables.

A node is a number. Every comparison is turned into one form, "leave for the second child if the value is above the
node's upper bound (or below its lower one)", so that a step from all nodes at once is three table look-ups, one
comparison and one addition: the two children of a node are neighbours, `first` and `first + 1`. A leaf's bounds are
infinite and its first child is itself, so that one waits there for the deeper trees.

    x <= t   stays if  x <= t           x > t    the same, children swapped
    x >= t   stays if -x <= -t          x < t    the same, children swapped
    x == t   stays if t <= x <= t       x != t   the same, children swapped

What a missing value (NaN) does is a matter of the node, so values are read from *columns*: a feature, perhaps negated,
with NaN replaced by the infinity that takes the way wanted. There are few of them: one or two a feature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from converters.errors import BadSource, Unsupported

LEQ, LT, GTE, GT, EQ, NEQ, LEAF = range(7)
MODES = {
    "BRANCH_LEQ": LEQ, "BRANCH_LT": LT, "BRANCH_GTE": GTE, "BRANCH_GT": GT, "BRANCH_EQ": EQ, "BRANCH_NEQ": NEQ,
    "LEAF": LEAF,
}  # fmt: skip
LARGEST = np.finfo(np.float32).max

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Nodes:
    """Nodes of all trees as ONNX describes them; one entry a node.

    Attributes:
        modes: LEQ to LEAF.
        features: which input is compared.
        thresholds: what with.
        missing_true: whether NaN counts as true.
        true_child, false_child: indices of nodes; meaningless for leaves.
        roots: indices of the trees' first nodes.
    """

    modes: Integers
    features: Integers
    thresholds: Floats
    missing_true: npt.NDArray[np.bool_]
    true_child: Integers
    false_child: Integers
    roots: Integers


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """What the nodes look at; one entry a column.

    Attributes:
        features: which input.
        negated: whether its sign is turned.
        capped: whether infinity counts as the largest finite number, which leaves +infinity for NaN.
        missing: what stands for NaN.
    """

    features: Integers
    negated: npt.NDArray[np.bool_]
    capped: npt.NDArray[np.bool_]
    missing: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """The flat tables; one entry a node, level by level, the roots first.

    Attributes:
        columns: what `column` counts.
        column: which column a node looks at.
        upper, lower: the bounds beyond which it leaves for its second child.
        first: its first child; a leaf's is itself.
        origin: which of `Nodes` it is.
        tree: which tree it is in.
        trees: how many there are.
        depth: how many comparisons the longest way has.
    """

    columns: Columns
    column: Integers
    upper: Floats
    lower: Floats
    first: Integers
    origin: Integers
    tree: Integers
    trees: int
    depth: int

    @property
    def leaves(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self.first == np.arange(len(self.first)))

    @property
    def bounded_below(self) -> bool:
        """Whether any node asks for equality."""
        return bool(np.any(self.lower > -np.inf))


def forest_of(nodes: Nodes) -> Forest:
    """Lays the trees out.

    Raises:
        BadSource: a node is its own descendant, or points nowhere.
        Unsupported: a node compares with NaN.
    """
    if np.any(np.isnan(nodes.thresholds) & (nodes.modes != LEAF)):
        raise Unsupported("a tree's node compares with NaN", hint="train the model without NaN thresholds")
    stays_if_true = np.isin(nodes.modes, (LEQ, GTE, EQ))
    near = np.where(stays_if_true, nodes.true_child, nodes.false_child)
    far = np.where(stays_if_true, nodes.false_child, nodes.true_child)
    origin, tree, first, depth = _levels(nodes, near, far)
    columns, column, upper, lower = _comparisons(nodes, stays_if_true)
    return Forest(
        columns, column[origin], upper[origin], lower[origin], first, origin, tree, len(nodes.roots), depth
    )  # fmt: skip


def _levels(nodes: Nodes, near: Integers, far: Integers) -> tuple[Integers, Integers, Integers, int]:
    """Nodes level by level: which they are, their trees, their first children; and the number of levels below roots."""
    level, trees = nodes.roots, np.arange(len(nodes.roots))
    origins, owners, firsts = [], [], []
    start, count = 0, len(nodes.modes)
    while True:
        branches = nodes.modes[level] != LEAF
        following = start + len(level)
        first = np.arange(start, following)
        first[branches] = following + 2 * np.arange(int(branches.sum()))
        origins.append(level)
        owners.append(trees)
        firsts.append(first)
        if not branches.any():
            return np.concatenate(origins), np.concatenate(owners), np.concatenate(firsts), len(origins) - 1
        parents = level[branches]
        level = np.stack((near[parents], far[parents]), axis=1).reshape(-1)
        trees = np.repeat(trees[branches], 2)
        start = following
        # A leaf may serve two parents, as the newest operator set allows; a tree that has more nodes than that is none.
        if level.min() < 0 or level.max() >= count or start > 2 * count:
            raise BadSource("a tree's nodes do not make a tree", hint="convert the model again from its original")


def _comparisons(
    nodes: Nodes, stays_if_true: npt.NDArray[np.bool_]
) -> tuple[Columns, Integers, Floats, Floats]:  # fmt: skip
    """The columns; and by node its column and its bounds."""
    leaf, equality = nodes.modes == LEAF, np.isin(nodes.modes, (EQ, NEQ))
    negated = np.isin(nodes.modes, (GTE, LT))
    threshold = np.where(negated, -nodes.thresholds, nodes.thresholds)
    # NaN differs from everything, whatever the node says about missing values.
    missing_stays = np.where(nodes.modes == NEQ, False, nodes.missing_true == stays_if_true)
    missing_stays |= leaf
    capped = ~missing_stays & ~equality & (threshold == np.inf)
    threshold = np.where(capped, LARGEST, threshold)
    away = np.where(equality & (threshold == np.inf), -np.inf, np.inf)
    stay = np.where(equality, threshold, -np.inf)
    missing = np.where(missing_stays, stay, away).astype(np.float32)
    rows = np.stack((nodes.features, negated, capped, missing.view(np.int32)), axis=1).astype(np.int64)
    used, column = np.unique(rows[~leaf], axis=0, return_inverse=True)
    columns = Columns(
        used[:, 0], used[:, 1].astype(bool), used[:, 2].astype(bool), used[:, 3].astype(np.int32).view(np.float32)
    )
    by_node = np.zeros(len(leaf), np.int64)
    by_node[~leaf] = column.reshape(-1)
    upper = np.where(leaf, np.inf, threshold).astype(np.float32)
    lower = np.where(equality & ~leaf, threshold, -np.inf).astype(np.float32)
    return columns, by_node, upper, lower
