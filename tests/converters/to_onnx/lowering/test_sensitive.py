from __future__ import annotations

import numpy as np
import onnx

from converters.to_onnx.lowering.sensitive import precision_sensitive_nodes
from converters.to_onnx.lowering.tensor_operators import TensorOperatorsFromOnnx
from tests.converters.to_onnx.lowering.conftest import Model, Trees

FLOAT = onnx.TensorProto.FLOAT


def scaled_trees(classical: Model, random_trees: Trees) -> onnx.ModelProto:
    trees = random_trees(np.random.default_rng(1))
    leaves = trees.pop("leaves")
    votes = {
        "target_treeids": [tree for tree, _ in leaves],
        "target_nodeids": [node for _, node in leaves],
        "target_ids": [0] * len(leaves),
        "target_weights": [1.0] * len(leaves),
    }
    model = classical("TreeEnsembleRegressor", FLOAT, n_targets=1, **trees, **votes)
    scaler = onnx.helper.make_node(
        "Scaler", ["rows"], ["scaled"], name="scaler", domain="ai.onnx.ml", offset=[1.0], scale=[2.0]
    )
    model.graph.node[0].input[0] = "scaled"
    model.graph.node.insert(0, scaler)
    return TensorOperatorsFromOnnx(model)()


def test_all_that_a_split_looks_at_and_nothing_after(classical: Model, random_trees: Trees) -> None:
    model = scaled_trees(classical, random_trees)
    found = precision_sensitive_nodes(model)
    operators = {node.name: node.op_type for node in model.graph.node}
    assert {name for name in found if name.startswith("scaler")} == {n for n in operators if n.startswith("scaler")}
    comparisons = {name for name, operator in operators.items() if operator in {"Greater", "Less"}}
    assert comparisons
    assert comparisons < found
    assert "ReduceSum" not in {operators[name] for name in found}


def test_simplifying_keeps_the_names(classical: Model, random_trees: Trees) -> None:
    import onnxslim  # noqa: PLC0415 - slow to import

    model = scaled_trees(classical, random_trees)
    slim = onnxslim.slim(onnx.ModelProto.FromString(model.SerializeToString()))
    found = precision_sensitive_nodes(slim)
    assert {n.name for n in slim.graph.node if n.op_type in {"Greater", "Less", "GatherElements"}} < found
    assert found <= precision_sensitive_nodes(model)


def test_numbers_that_are_looked_up(classical: Model) -> None:
    model = classical("LabelEncoder", FLOAT, version=2, keys_floats=[4097.0], values_floats=[1.0])
    scaler = onnx.helper.make_node(
        "Scaler", ["rows"], ["ids"], name="scaler", domain="ai.onnx.ml", offset=[0.0], scale=[1.0]
    )
    model.graph.node[0].input[0] = "ids"
    model.graph.node.insert(0, scaler)
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("output0", FLOAT, ["batch", 4]))
    assert any(name.startswith("scaler/") for name in precision_sensitive_nodes(TensorOperatorsFromOnnx(model)()))


def test_models_without_trees_have_none(classical: Model) -> None:
    model = TensorOperatorsFromOnnx(classical("Scaler", FLOAT, version=1, offset=[0.0], scale=[1.0]))()
    assert precision_sensitive_nodes(model) == frozenset()
