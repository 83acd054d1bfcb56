"""What the leaves of trees say, and how it adds up to scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from converters.arrays import Array
from converters.to_onnx.lowering.emitter import Emitter
from converters.to_onnx.lowering.forest import Floats, Forest, Integers
from converters.to_onnx.lowering.traversal import leaves_reached


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """What leaves say; one entry a vote.

    Attributes:
        leaves: indices of `Nodes`.
        targets: for which target or class.
        weights: how much.
        count: how many targets or classes there are.
    """

    leaves: Integers
    targets: Integers
    weights: Floats
    count: int

    def table(self, forest: Forest, combine: Callable[..., None], empty: float) -> Floats:
        """[nodes, targets]: what each leaf says, several votes for one target combined; `empty` where it says nothing.

        Args:
            forest: whose nodes.
            combine: the `at` of a numpy function that combines two, such as `numpy.add.at`.
            empty: also what combining begins with.
        """
        by_origin = np.full((self._origins(forest), self.count), empty, np.float32)
        combine(by_origin, (self.leaves, self.targets), self.weights)
        table: Array = by_origin[forest.origin]
        table[~forest.leaves] = empty
        return table

    def present(self, forest: Forest) -> npt.NDArray[np.bool_]:
        """[nodes, targets]: whether a leaf votes for a target."""
        by_origin = np.zeros((self._origins(forest), self.count), np.bool_)
        by_origin[self.leaves, self.targets] = True
        return np.asarray(by_origin[forest.origin] & forest.leaves[:, None])

    def always(self, forest: Forest) -> npt.NDArray[np.bool_]:
        """[targets]: whether each row of input gets a vote for a target, because all leaves of some tree give one."""
        every = np.ones((forest.trees, self.count), np.bool_)
        leaves = forest.leaves
        np.logical_and.at(every, forest.tree[leaves], self.present(forest)[leaves])
        return np.asarray(every.any(axis=0))

    def _origins(self, forest: Forest) -> int:
        # Votes of leaves that no branch leads to are never asked for, and harmless.
        return int(max(forest.origin.max(), self.leaves.max(initial=0))) + 1

    def grouped(self, forest: Forest) -> Integers | None:
        """The trees in the order of their targets, if each tree votes for one and all targets have as many; else None.

        Boosted trees do; the votes then need no dimension for the targets.
        """
        targets = np.argmax(present := self.present(forest), axis=1)
        lowest, highest = np.full(forest.trees, self.count), np.full(forest.trees, -1)
        voting = present.any(axis=1)
        np.minimum.at(lowest, forest.tree[voting], targets[voting])
        np.maximum.at(highest, forest.tree[voting], (self.count - 1 - np.argmax(present[:, ::-1], axis=1))[voting])
        alone = bool(np.all(lowest == highest))
        if not alone or len(set(np.bincount(lowest, minlength=self.count).tolist())) != 1:
            return None
        return np.argsort(lowest, kind="stable")


@dataclass(frozen=True, slots=True, eq=False)
class Poll:
    """Votes that are counted for each row.

    Attributes:
        forest: the trees.
        votes: what their leaves say.
        aggregate: "SUM", "AVERAGE", "MIN" or "MAX".
    """

    forest: Forest
    votes: Votes
    aggregate: str = "SUM"

    def scores(self, emit: Emitter, rows: str) -> tuple[str, str]:
        """Emits the walk and the count.

        Args:
            emit: where to.
            rows: float32 [batch, features].

        Returns:
            Float32 [batch, targets]; and the leaves reached, int32 [batch, trees].
        """
        adds = self.aggregate in {"SUM", "AVERAGE"}
        order = self.votes.grouped(self.forest) if adds else None
        places = leaves_reached(emit, rows, self.forest, np.arange(self.forest.trees) if order is None else order)
        if order is None:
            scores = self._by_target(emit, places)
        else:
            table = self.votes.table(self.forest, np.add.at, 0.0).sum(axis=1)
            values = emit("Gather", emit.constant(table), places)
            values = emit("Reshape", values, emit.axes(0, self.votes.count, -1))
            scores = emit("ReduceSum", values, emit.axes(2), keepdims=0)
        if self.aggregate == "AVERAGE":
            scores = emit("Div", scores, emit.constant(self.forest.trees))
        return scores, places

    def voted(self, emit: Emitter, places: str) -> str:
        """Emits bool [batch, targets]: whether any leaf reached votes for a target."""
        present = emit.constant(self.votes.present(self.forest))
        counts = emit("ReduceSum", emit("Gather", present, places), emit.axes(1), keepdims=0)
        return emit("Greater", counts, emit.constant(0))

    def _by_target(self, emit: Emitter, places: str) -> str:
        operator, combine, empty = {
            "MIN": ("ReduceMin", np.minimum.at, np.inf),
            "MAX": ("ReduceMax", np.maximum.at, -np.inf),
        }.get(self.aggregate, ("ReduceSum", np.add.at, 0.0))
        table = self.votes.table(self.forest, combine, empty)
        values = emit("Gather", emit.constant(table), places)
        scores = emit(operator, values, emit.axes(1), keepdims=0)
        if empty and not self.votes.always(self.forest).all():
            scores = emit("Where", self.voted(emit, places), scores, emit.constant(0))
        return scores
