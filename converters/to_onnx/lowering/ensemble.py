"""The attributes of the tree operators, old and new, read into the same tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx

from converters.errors import BadSource
from converters.to_onnx.lowering.emitter import Emitter
from converters.to_onnx.lowering.forest import LEAF, MODES, Floats, Integers, Nodes, forest_of
from converters.to_onnx.lowering.votes import Poll, Votes

TRANSFORMS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")
AGGREGATES = ("AVERAGE", "SUM", "MIN", "MAX")
MEMBER = 6


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """What a tree operator does to its input.

    Attributes:
        poll: the trees, and how their votes add up.
        base: values added at the end; empty, or one a target, or fewer for a classifier of two classes.
        transform: the `post_transform`.
    """

    poll: Poll
    base: tuple[float, ...]
    transform: str


def listed_by_tree(emit: Emitter, kind: Literal["class", "target"], targets: int) -> Ensemble:
    """The ensemble of a TreeEnsembleClassifier or a TreeEnsembleRegressor.

    Args:
        emit: knows the node.
        kind: what the operator's votes are called.
        targets: how many targets or classes there are.

    Raises:
        BadSource: the lists do not make trees.
        Unsupported: thresholds or weights are float64.
    """
    a = emit.attributes()
    for name in a:
        if name.endswith("_as_tensor"):
            _refuse_double(emit)
    ids = _Ids(_integers(a, "nodes_treeids"), _integers(a, "nodes_nodeids"))
    modes = np.array([MODES[mode.decode()] for mode in a["nodes_modes"]], np.int64)
    branch = modes != LEAF
    children = {}
    for way in ("true", "false"):
        children[way] = np.zeros(len(modes), np.int64)
        children[way][branch] = ids.find(ids.trees[branch], _integers(a, f"nodes_{way}nodeids")[branch])
    missing = _integers(a, "nodes_missing_value_tracks_true")
    nodes = Nodes(
        modes=modes,
        features=_integers(a, "nodes_featureids"),
        thresholds=_floats(a, "nodes_values"),
        missing_true=missing == 1 if len(missing) else np.zeros(len(modes), np.bool_),
        true_child=children["true"],
        false_child=children["false"],
        roots=np.flatnonzero(np.diff(ids.trees, prepend=ids.trees[:1] - 1)),
    )
    leaves = ids.find(_integers(a, f"{kind}_treeids"), _integers(a, f"{kind}_nodeids"))
    votes = _counted(nodes, leaves, _integers(a, f"{kind}_ids"), _floats(a, f"{kind}_weights"), targets)
    poll = Poll(forest_of(nodes), votes, a.get("aggregate_function", "SUM"))
    return Ensemble(poll, tuple(a.get("base_values", ())), a.get("post_transform", "NONE"))


def listed_by_branch(emit: Emitter) -> Ensemble:
    """The ensemble of a TreeEnsemble, which keeps branches and leaves in lists of their own.

    Raises:
        BadSource: the lists do not make trees.
        Unsupported: thresholds or weights are float64, or a node asks whether a value is one of a set.
    """
    a = emit.attributes()
    modes = onnx.numpy_helper.to_array(a["nodes_modes"]).astype(np.int64)
    if np.any(modes == MEMBER):
        emit.refuse("it asks whether a value is one of a set", "train the model with its categories encoded one-hot")
    weights, splits = (onnx.numpy_helper.to_array(a[name]) for name in ("leaf_weights", "nodes_splits"))
    if not weights.dtype == splits.dtype == np.float32:
        _refuse_double(emit)
    branches, leaves = len(modes), len(weights)
    children = {
        way: _integers(a, f"nodes_{way}nodeids") + branches * (_integers(a, f"nodes_{way}leafs") == 1)
        for way in ("true", "false")
    }
    missing = _integers(a, "nodes_missing_value_tracks_true")
    nodes = Nodes(
        modes=np.pad(modes, (0, leaves), constant_values=LEAF),
        features=np.pad(_integers(a, "nodes_featureids"), (0, leaves)),
        thresholds=np.pad(splits, (0, leaves)),
        missing_true=np.pad(missing, (0, branches + leaves - len(missing))) == 1,
        true_child=np.pad(children["true"], (0, leaves)),
        false_child=np.pad(children["false"], (0, leaves)),
        roots=_integers(a, "tree_roots"),
    )
    targets = int(a.get("n_targets", 1))
    votes = _counted(nodes, branches + np.arange(leaves), _integers(a, "leaf_targetids"), weights, targets)
    poll = Poll(forest_of(nodes), votes, AGGREGATES[int(a.get("aggregate_function", 1))])
    return Ensemble(poll, (), TRANSFORMS[int(a.get("post_transform", 0))])


@dataclass(frozen=True, slots=True, eq=False)
class _Ids:
    """Pairs of tree and node, by which the older operators name nodes."""

    trees: Integers
    nodes: Integers

    def find(self, trees: Integers, nodes: Integers) -> Integers:
        """Indices of pairs."""
        span = int(max(self.nodes.max(initial=0), nodes.max(initial=0))) + 1
        known, wanted = self.trees * span + self.nodes, trees * span + nodes
        order = np.argsort(known, kind="stable")
        position = np.minimum(np.searchsorted(known[order], wanted), len(known) - 1)
        found: Integers = order[position]
        if np.any(known[found] != wanted) or np.any(nodes < 0):
            raise BadSource("a tree names a node that it does not have", hint="convert the model from its original")
        return found


def _counted(nodes: Nodes, leaves: Integers, targets: Integers, weights: Floats, count: int) -> Votes:
    """The votes that count: not those of branches, which old converters write; for one target a leaf's first alone."""
    keep = np.flatnonzero(nodes.modes[leaves] == LEAF)
    if count == 1:
        keep = keep[np.unique(leaves[keep], return_index=True)[1]]
    return Votes(leaves[keep], targets[keep], weights[keep], count)


def _integers(attributes: dict[str, Any], name: str) -> Integers:
    return np.asarray(attributes.get(name, ()), np.int64)


def _floats(attributes: dict[str, Any], name: str) -> Floats:
    return np.asarray(attributes.get(name, ()), np.float32)


def _refuse_double(emit: Emitter) -> None:
    emit.refuse(
        "its thresholds are float64, which TensorRT does not calculate with",
        "convert the model with float32 inputs (skl2onnx: `FloatTensorType`)",
    )
