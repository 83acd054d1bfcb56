"""From rows of features to the leaves that each tree leads them to, as tensor operators."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from converters.to_onnx.lowering.emitter import Emitter
from converters.to_onnx.lowering.forest import LARGEST, Columns, Forest, Integers

SPLITS = "splits"
"""Stands in the names of all nodes that decide which way a row takes; in half precision rows would take others."""


def leaves_reached(emit: Emitter, rows: str, forest: Forest, roots: Integers) -> str:
    """Emits the walk from roots to leaves.

    All trees take a step at once, as many steps as the deepest one needs; memory is a few numbers a row and tree.

    Args:
        emit: where to.
        rows: float32 [batch, features].
        forest: the trees.
        roots: where to begin, one entry a walk; may be in any order.

    Returns:
        int32 [batch, walks]: the number of the leaf that each walk ends at.
    """
    if forest.depth == 0:
        return _at_roots(emit, rows, roots)
    values = _columns(emit, rows, forest.columns)
    tables = _Tables(
        column=emit.constant(forest.column, np.int32),
        upper=emit.constant(forest.upper),
        lower=emit.constant(forest.lower) if forest.bounded_below else "",
        first=emit.constant(forest.first, np.int32),
    )
    place = _first_step(emit, values, forest, roots)
    for _ in range(forest.depth - 1):
        column = emit("Gather", tables.column, place, part=SPLITS)
        value = emit("GatherElements", values, column, part=SPLITS, axis=1)
        upper = emit("Gather", tables.upper, place, part=SPLITS)
        lower = emit("Gather", tables.lower, place, part=SPLITS) if tables.lower else ""
        first = emit("Gather", tables.first, place, part=SPLITS)
        place = _next(emit, value, upper, lower, first)
    return place


@dataclass(frozen=True, slots=True)
class _Tables:
    """Names of the constants that hold the forest's tables; `lower` is empty where no node has a lower bound."""

    column: str
    upper: str
    lower: str
    first: str


def _at_roots(emit: Emitter, rows: str, roots: Integers) -> str:
    batch = emit("Slice", emit("Shape", rows), emit.axes(0), emit.axes(1))
    shape = emit("Concat", batch, emit.axes(len(roots)), axis=0)
    return emit("Expand", emit.constant(roots[None, :], np.int32), shape)


def _columns(emit: Emitter, rows: str, columns: Columns) -> str:
    """The columns' values: float32 [batch, columns], without NaN."""
    values = emit("Gather", rows, emit.constant(columns.features, np.int32), part=SPLITS, axis=1)
    missing = emit("IsNaN", values, part=SPLITS)
    if columns.negated.any():
        sign = emit.constant(np.where(columns.negated, -1, 1))
        values = emit("Mul", values, sign, part=SPLITS)
    if columns.capped.any():
        cap = emit.constant(np.where(columns.capped, LARGEST, np.inf))
        values = emit("Min", values, cap, part=SPLITS)
    return emit("Where", missing, emit.constant(columns.missing), values, part=SPLITS)


def _first_step(emit: Emitter, values: str, forest: Forest, roots: Integers) -> str:
    """At the roots all look-ups are known beforehand."""
    column = emit.constant(forest.column[roots], np.int32)
    value = emit("Gather", values, column, part=SPLITS, axis=1)
    upper = emit.constant(forest.upper[roots])
    lower = emit.constant(forest.lower[roots]) if forest.bounded_below else ""
    return _next(emit, value, upper, lower, emit.constant(forest.first[roots], np.int32))


def _next(emit: Emitter, value: str, upper: str, lower: str, first: str) -> str:
    leaves = emit("Greater", value, upper, part=SPLITS)
    if lower:
        leaves = emit("Or", leaves, emit("Less", value, lower, part=SPLITS), part=SPLITS)
    return emit("Add", first, emit("Cast", leaves, part=SPLITS, to=onnx.TensorProto.INT32), part=SPLITS)
