from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto, helper

from converters.engines.base import BuildOptions
from converters.engines.checks import check_model
from converters.errors import BadSource, ConversionError, Unsupported
from converters.graph.signature import signature_of
from tests.converters.engines.tiny_models import cast_to, convolution, model, quantised


def refused(source: onnx.ModelProto, *capabilities: int) -> ConversionError:
    with pytest.raises(ConversionError) as caught:
        check(source, *capabilities)
    return caught.value


def check(source: onnx.ModelProto, *capabilities: int) -> None:
    check_model(source, signature_of(source), BuildOptions(), capabilities)


def test_bf16_needs_ampere() -> None:
    error = refused(cast_to(TensorProto.BFLOAT16), 75, 86)
    assert error.what == "sm_75 has no BF16, and the model computes with it"
    assert error.place.node == "down (Cast)"
    check(cast_to(TensorProto.BFLOAT16), 80, 86)
    check(cast_to(TensorProto.FLOAT16), 75)


def test_fp8_needs_ada() -> None:
    error = refused(quantised(TensorProto.FLOAT8E4M3FN), 75, 86, 89)
    assert error.what == "sm_75, sm_86 has no FP8, and the model computes with it"
    assert error.place.node == "quantise_x (QuantizeLinear)"
    check(quantised(TensorProto.FLOAT8E4M3FN), 89, 120)


def test_types_in_the_branches_of_a_condition() -> None:
    branch = cast_to(TensorProto.BFLOAT16).graph
    del branch.input[:]
    source = model(
        [
            helper.make_node("If", ["c"], ["y"], name="if", then_branch=branch, else_branch=branch),
        ],
        {"c": []},
        {"y": [2, 3]},
        kind=TensorProto.BOOL,
    )
    assert refused(source, 75).place.node == "down (Cast)"


def test_uint8_would_be_computed_wrongly() -> None:
    error = refused(quantised(TensorProto.UINT8), 89)
    assert "quantised to UINT8" in error.what
    assert error.place.node == "quantise_x (QuantizeLinear)"


def test_zero_points_must_be_zero() -> None:
    assert "asymmetrically" in refused(quantised(TensorProto.INT8, 5), 89).what
    check(quantised(TensorProto.INT8), 75)


def test_strings() -> None:
    source = model(
        [helper.make_node("Identity", ["x"], ["y"])], {"x": [1]}, {"y": [1]}, kind=TensorProto.STRING
    )  # fmt: skip
    assert "input 'x' takes strings" in refused(source).what


def test_unknown_rank() -> None:
    source = convolution(1)
    source.graph.input[0].type.tensor_type.ClearField("shape")
    error = refused(source, 89)
    assert isinstance(error, Unsupported)
    assert "no dynamic rank" in error.hint


def test_weights_that_were_not_read() -> None:
    source = convolution(1)
    source.graph.initializer[0].data_location = TensorProto.EXTERNAL
    with pytest.raises(BadSource, match="'w'"):
        check(source, 89)
