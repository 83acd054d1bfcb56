import onnx
import pytest
from onnx import TensorProto, helper

from converters.graph.signature import Signature, Tensor, signature_of
from tests.converters.framework_models import onnx_model


def test_names_types_and_shapes_are_the_graphs() -> None:
    signature = signature_of(onnx_model(("batch", 3)))
    assert signature == Signature((Tensor("x", "FP32", ("batch", 3)),), (Tensor("y", "FP32", ("batch", 3)),))
    assert str(signature.inputs[0]) == "x: FP32 [batch, 3]"


def test_initializers_that_are_listed_as_inputs_are_left_out() -> None:
    model = onnx_model()
    model.graph.input.append(helper.make_tensor_value_info("one", TensorProto.FLOAT, [1]))
    assert [tensor.name for tensor in signature_of(model).inputs] == ["x"]


def test_minus_one_and_no_name_are_chosen_at_run_time() -> None:
    signature = signature_of(onnx_model((-1, None)))
    assert signature.inputs[0].shape == ("", "")
    assert signature.batches
    assert str(signature.inputs[0]) == "x: FP32 [?, ?]"


def test_a_fixed_or_scalar_or_unknown_shape_does_not_batch() -> None:
    assert not signature_of(onnx_model((1, 3))).batches
    assert not signature_of(onnx_model(())).batches
    unknown = onnx_model()
    unknown.graph.input[0].type.tensor_type.ClearField("shape")
    assert signature_of(unknown).inputs[0].shape is None
    assert not signature_of(unknown).batches
    assert str(signature_of(unknown).inputs[0]) == "x: FP32 [any rank]"


@pytest.mark.parametrize(
    ("code", "datatype"),
    [
        (TensorProto.STRING, "BYTES"),
        (TensorProto.BFLOAT16, "BF16"),
        (TensorProto.FLOAT16, "FP16"),
        (TensorProto.INT64, "INT64"),
        (TensorProto.BOOL, "BOOL"),
        (TensorProto.COMPLEX64, ""),
        (TensorProto.UNDEFINED, ""),
    ],
)
def test_datatypes_are_the_protocols(code: int, datatype: str) -> None:
    model = onnx_model()
    model.graph.input[0].type.tensor_type.elem_type = code
    assert signature_of(model).inputs[0].datatype == datatype


def test_a_model_without_tensors_does_not_batch() -> None:
    assert not signature_of(onnx.ModelProto()).batches
