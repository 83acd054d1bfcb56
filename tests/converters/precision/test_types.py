import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from converters.precision.base import Calibration, Precision
from converters.precision.typed import Calibrated, TypedFromOnnx
from converters.precision.types import element_types, precision_of
from tests.converters.build.building import small_model
from tests.converters.verify.doubles import Batches

DATA = Calibrated(Batches([{"x": np.ones((2, 8), np.float32)}]), Calibration())


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16", "int8", "fp8"])
def test_what_was_made_is_recognised(precision: Precision) -> None:
    assert precision_of(TypedFromOnnx(small_model(), precision, calibrated=DATA)()) == precision


def test_types_are_found_wherever_they_stand() -> None:
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    cast = helper.make_node("Cast", ["x"], ["out"], to=TensorProto.BFLOAT16)
    constant = helper.make_node("Constant", [], ["c"], value=helper.make_tensor("c", TensorProto.INT8, [1], [1]))
    model = small_model()
    branch = helper.make_graph([cast, constant], "branch", [], [out])
    model.graph.node.append(helper.make_node("If", ["yes"], ["z"], then_branch=branch, else_branch=branch))
    assert element_types(model) == {TensorProto.FLOAT, TensorProto.BFLOAT16, TensorProto.INT8}
    assert element_types(onnx.ModelProto()) == frozenset()
