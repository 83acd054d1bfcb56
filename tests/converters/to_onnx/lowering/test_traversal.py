from __future__ import annotations

import numpy as np
import onnx
import pytest

from converters.arrays import Array
from converters.to_onnx.lowering.emitter import Emitter
from converters.to_onnx.lowering.forest import EQ, GT, GTE, LEAF, LEQ, LT, NEQ, Nodes, forest_of
from converters.to_onnx.lowering.traversal import SPLITS, leaves_reached
from tests.converters.to_onnx.lowering.conftest import results


def reached(nodes: Nodes, rows: Array, roots: list[int]) -> Array:
    """Which of `nodes` rows end at, by tree."""
    forest = forest_of(nodes)
    emit = Emitter(onnx.helper.make_node("Trees", ["rows"], ["places"]), "trees", {}, {}, {})
    places = leaves_reached(emit, "rows", forest, np.array(roots))
    assert all(f"/{SPLITS}/" in node.name for node in emit.nodes if node.op_type in {"Greater", "Less"})
    graph = onnx.helper.make_graph(
        emit.nodes,
        "walk",
        [onnx.helper.make_tensor_value_info("rows", onnx.TensorProto.FLOAT, ["batch", 1])],
        [onnx.helper.make_tensor_value_info(places, onnx.TensorProto.INT32, ["batch", len(roots)])],
        emit.constants,
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    return np.asarray(forest.origin[results(model, rows)[0]])


@pytest.mark.parametrize(("mode", "wanted"), [
    (LEQ, [1, 1, 2, 2, 1, 2]), (LT, [1, 2, 2, 2, 1, 2]), (GTE, [2, 1, 1, 1, 2, 2]), (GT, [2, 2, 1, 1, 2, 2]),
    (EQ, [2, 1, 2, 2, 2, 2]), (NEQ, [1, 2, 1, 1, 1, 1]),
])  # fmt: skip
def test_one_comparison_with_one_half(mode: int, wanted: list[int]) -> None:
    zeros = np.zeros(3, np.int64)
    children = (np.array([1, 0, 0]), np.array([2, 0, 0]))
    modes, thresholds = np.array([mode, LEAF, LEAF]), np.array([0.5, 0, 0], np.float32)
    nodes = Nodes(modes, zeros, thresholds, zeros > 0, *children, np.array([0]))
    rows = np.array([[0], [0.5], [1], [np.inf], [-np.inf], [np.nan]], np.float32)
    assert reached(nodes, rows, [0])[:, 0].tolist() == wanted


def test_shallow_trees_wait_for_deep_ones_in_any_order() -> None:
    modes = np.array([LEAF, LEQ, LEAF, LEQ, LEAF, LEAF])
    true, false = np.array([0, 2, 0, 4, 0, 0]), np.array([0, 3, 0, 5, 0, 0])
    thresholds, zeros = np.array([0, 0, 0, 1, 0, 0], np.float32), np.zeros(6, np.int64)
    nodes = Nodes(modes, zeros, thresholds, zeros > 0, true, false, np.array([0, 1]))
    rows = np.array([[-1], [0.5], [2]], np.float32)
    assert reached(nodes, rows, [1, 0]).tolist() == [[2, 0], [4, 0], [5, 0]]
