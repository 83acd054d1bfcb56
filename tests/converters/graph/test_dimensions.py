import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from converters.errors import ConfigError
from converters.graph.dimensions import FixedFromOnnx, rename_dimensions, with_named_dimensions
from converters.graph.signature import signature_of
from tests.converters.framework_models import answers, onnx_model


def shapes(model: onnx.ModelProto) -> list[tuple[int | str, ...] | None]:
    signature = signature_of(model)
    return [tensor.shape for tensor in (*signature.inputs, *signature.outputs)]


@pytest.mark.parametrize("name", ["?", "", None, -1, "-1", "unk__7", "None"])
def test_dimensions_without_a_name_that_says_something_get_one(name: str | int | None) -> None:
    named = with_named_dimensions(onnx_model((name, 3)))
    assert shapes(named) == [("batch", 3), ("batch", 3)]
    assert named.graph.value_info[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_one_name_for_several_dimensions_becomes_several_names() -> None:
    model = onnx_model(("?", 3, "?", "?"))
    assert shapes(with_named_dimensions(model)) == [("batch", 3, "x_2", "x_3")] * 2
    assert shapes(model) == [("?", 3, "?", "?")] * 2


@pytest.mark.parametrize("name", ["s77", "unk__3", "p2o.DynamicDimension.1"])
def test_dimensions_that_are_known_to_be_the_same_stay_the_same(name: str) -> None:
    model = onnx_model((name, name))
    assert shapes(with_named_dimensions(model)) == [("batch", "batch")] * 2


def test_names_that_say_something_stay() -> None:
    model = onnx_model(("images", "height", "unk__1"))
    assert shapes(with_named_dimensions(model)) == [("images", "height", "x_2")] * 2


def test_expressions_and_sizes_that_depend_on_values_are_named_after_the_output() -> None:
    model = onnx_model(("?", "2*s77 + 1"))
    model.graph.node.append(helper.make_node("NonZero", ["y"], ["where"]))
    model.graph.output.append(helper.make_tensor_value_info("where", TensorProto.INT64, [2, "s9 - 1"]))
    assert shapes(with_named_dimensions(model)) == [("batch", "x_1"), ("batch", "x_1"), (2, "where_1")]


def test_outputs_of_a_model_of_fixed_size_have_no_batch() -> None:
    model = onnx_model((2, 3))
    model.graph.node.append(helper.make_node("Compress", ["y", "mask"], ["some"], axis=0))
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.BOOL, [2]))
    model.graph.output.append(helper.make_tensor_value_info("some", TensorProto.FLOAT, ["?", 3]))
    assert shapes(with_named_dimensions(model))[-1] == ("some_0", 3)


def test_dimensions_are_renamed_wherever_they_stand() -> None:
    model = onnx_model(("s77", "s12"))
    rename_dimensions(model, {"s77": "batch"})
    assert shapes(model) == [("batch", "s12")] * 2


def test_fixed_sizes_spread_through_the_graph() -> None:
    model = with_named_dimensions(onnx_model(("?", 3, "?", "?")))
    fixed = FixedFromOnnx(model, {"x": {2: 4, 3: 5}})()
    assert shapes(fixed) == [("batch", 3, 4, 5)] * 2
    assert [dim.dim_value for dim in fixed.graph.value_info[0].type.tensor_type.shape.dim] == [0, 3, 4, 5]
    assert shapes(model) == [("batch", 3, "x_2", "x_3")] * 2
    assert answers(fixed, {"x": np.zeros((2, 3, 4, 5), np.float32)})["y"].shape == (2, 3, 4, 5)


def test_dimensions_of_one_name_are_fixed_together() -> None:
    model = onnx_model(("batch", "side", "side"))
    assert shapes(FixedFromOnnx(lambda: model, {"x": {1: 7}})()) == [("batch", 7, 7)] * 2


def test_a_size_that_it_has_already_may_be_given() -> None:
    assert shapes(FixedFromOnnx(onnx_model(("b", 3)), {"x": {0: 1, 1: 3}})()) == [(1, 3)] * 2


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ({"z": {0: 1}}, "no input 'z'.*it has 'x'"),
        ({"x": {3: 1}}, "axis 3 of input 'x'.*axes 0 to 2"),
        ({"x": {0: 0}}, "sizes begin at 1"),
        ({"x": {2: 4}}, "is 3 and cannot be 4"),
        ({"x": {0: 1, 1: 2}}, "'n' cannot be both 1 and 2"),
    ],
)
def test_sizes_that_cannot_be_are_refused(sizes: dict[str, dict[int, int]], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        FixedFromOnnx(onnx_model(("n", "n", 3)), sizes)()
