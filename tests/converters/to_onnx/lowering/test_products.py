from __future__ import annotations

import numpy as np
import onnx
import pytest

from converters.arrays import Array
from converters.to_onnx.lowering.products import MOST_WEIGHTS
from converters.to_onnx.lowering.tensor_operators import TensorOperatorsFromOnnx
from tests.converters.to_onnx.lowering.conftest import Build, Compare

RNG = np.random.default_rng(1)


def model_of(node: onnx.NodeProto, features: int, **constants: Array) -> onnx.ModelProto:
    shape = ["batch", None]
    graph = onnx.helper.make_graph(
        [node],
        "product",
        [onnx.helper.make_tensor_value_info("rows", onnx.TensorProto.FLOAT, ["batch", features])],
        [onnx.helper.make_tensor_value_info("output", onnx.TensorProto.FLOAT, shape)],
        [onnx.numpy_helper.from_array(values.astype(np.float32), name) for name, values in constants.items()],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)


def operators(model: onnx.ModelProto) -> set[str]:
    return {node.op_type for node in TensorOperatorsFromOnnx(model)().graph.node}


@pytest.mark.parametrize(("transposed", "alpha", "beta"), [(0, 1.0, 1.0), (1, -2.0, 0.5)])
def test_gemm(compare: Compare, build: Build, transposed: int, alpha: float, beta: float) -> None:
    node = onnx.helper.make_node(
        "Gemm", ["rows", "weights", "bias"], ["output"], transB=transposed, alpha=alpha, beta=beta
    )
    shape = (3, 4) if transposed else (4, 3)
    model = model_of(node, 4, weights=RNG.normal(size=shape), bias=RNG.normal(size=3))
    compare(model, RNG.normal(size=(20, 4)).astype(np.float32))
    assert "Gemm" not in operators(model)
    build(model)


def test_matmul(compare: Compare) -> None:
    node = onnx.helper.make_node("MatMul", ["rows", "weights"], ["output"])
    model = model_of(node, 4, weights=RNG.normal(size=(4, 3)))
    compare(model, RNG.normal(size=(20, 4)).astype(np.float32))
    assert operators(model) >= {"Mul", "ReduceSum"}


def test_products_with_many_weights_stay() -> None:
    node = onnx.helper.make_node("MatMul", ["rows", "weights"], ["output"])
    assert operators(model_of(node, 4, weights=np.ones((4, MOST_WEIGHTS)))) == {"MatMul"}
    node = onnx.helper.make_node("Gemm", ["rows", "weights"], ["output"], transA=1)
    assert operators(model_of(node, 4, weights=np.ones((4, 3)))) == {"Gemm"}
