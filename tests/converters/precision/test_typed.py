from typing import Literal

import numpy as np
import onnx
import pytest

from converters.errors import BadData
from converters.precision.base import Calibration, Precision
from converters.precision.typed import Calibrated, TypedFromOnnx, low_nodes
from tests.converters.build.building import small_model
from tests.converters.verify.doubles import Batches

DATA = Calibrated(Batches([{"x": np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)}]), Calibration())
NODES = {"first", "relu", "second", "sigmoid", "third"}


def names(model: onnx.ModelProto, kind: int) -> set[str]:
    return {each.name for each in model.graph.initializer if each.data_type == kind and each.dims}


def test_fp32_is_the_model_itself() -> None:
    model = small_model()
    assert TypedFromOnnx(model, "fp32")() is model


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_16_bits_but_for_what_is_kept(precision: Precision) -> None:
    typed = TypedFromOnnx(small_model(), precision, keep=frozenset({"second"}))()
    assert names(typed, onnx.TensorProto.FLOAT) == {"w2"}
    assert typed.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    changed = TypedFromOnnx(small_model(), precision, keep_io=False)()
    assert changed.graph.input[0].type.tensor_type.elem_type != onnx.TensorProto.FLOAT


@pytest.mark.parametrize("precision", ["int8", "fp8"])
def test_8_bits_need_data(precision: Precision) -> None:
    with pytest.raises(BadData, match=f"{precision} needs calibration data"):
        TypedFromOnnx(small_model(), precision)()


@pytest.mark.parametrize("served_by", ["tensorrt", "cpu"])
def test_int8_is_written_for_whatever_serves_it(served_by: Literal["tensorrt", "cpu"]) -> None:
    typed = TypedFromOnnx(small_model(), "int8", calibrated=DATA, served_by=served_by)()
    zero_points = {
        onnx.numpy_helper.to_array(each).dtype.name for each in typed.graph.initializer if "zero" in each.name
    }
    assert ("uint8" in zero_points) == (served_by == "cpu")


@pytest.mark.parametrize("precision", ["int8", "fp8"])
def test_what_is_not_quantised_has_the_rests_precision(precision: Precision) -> None:
    typed = TypedFromOnnx(
        small_model(),
        precision,
        calibrated=DATA,
        rest="fp16",
        keep=frozenset({"third"}),
        unquantised=frozenset({"second"}),
    )()
    assert "w2_fp16" in names(typed, onnx.TensorProto.FLOAT16)
    assert "w3" in names(typed, onnx.TensorProto.FLOAT)


def test_nodes_that_could_be_kept() -> None:
    assert low_nodes(TypedFromOnnx(small_model(), "int8", calibrated=DATA)()) >= {"first", "second", "third"}
    assert "relu" not in low_nodes(TypedFromOnnx(small_model(), "int8", calibrated=DATA)()) - NODES
    assert low_nodes(small_model()) == NODES
