from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from converters.graph.types import element_types, types_in
from converters.precision.graphs import prepared
from tests.converters.build.building import small_model
from tests.converters.precision.graphs_in_text import graph


def test_types_of_everything_are_known() -> None:
    types = element_types(prepared(graph("(int64[2] i) => (float[2] y) { f = Cast<to = 1>(i) y = Relu(f) }")))
    assert types == {"i": onnx.TensorProto.INT64, "f": onnx.TensorProto.FLOAT, "y": onnx.TensorProto.FLOAT}


def test_types_are_found_wherever_they_stand() -> None:
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    cast = helper.make_node("Cast", ["x"], ["out"], to=TensorProto.BFLOAT16)
    constant = helper.make_node("Constant", [], ["c"], value=helper.make_tensor("c", TensorProto.INT8, [1], [1]))
    model = small_model()
    branch = helper.make_graph([cast, constant], "branch", [], [out])
    model.graph.node.append(helper.make_node("If", ["yes"], ["z"], then_branch=branch, else_branch=branch))
    assert types_in(model) == {TensorProto.FLOAT, TensorProto.BFLOAT16, TensorProto.INT8}
    assert types_in(onnx.ModelProto()) == frozenset()
