from collections.abc import Iterator
from typing import Literal

import numpy as np
import onnx
import pytest

from converters.arrays import Feeds
from converters.graph.opset import opset_of
from converters.precision.base import Calibration
from converters.precision.emulated import EmulatedFromMixed
from converters.precision.int8 import Int8FromOnnx
from converters.precision.rest import LowFromQuantised
from converters.precision.types import holds_low_floats
from converters.verify.onnx_runner import OnnxRunner
from tests.converters.build.building import small_model

ROWS = np.random.default_rng(1).normal(0, 1, (32, 8)).astype(np.float32)


class Rows:
    origin = "rows"
    digest = "0"

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Feeds]:
        yield {"x": ROWS}


def quantised(*keep: str) -> onnx.ModelProto:
    return Int8FromOnnx(small_model(), Rows(), Calibration(), keep=frozenset(keep))()


@pytest.mark.parametrize("rest", ["fp16", "bf16"])
def test_what_is_not_quantised_is_low_without_casts_in_between(rest: Literal["fp16", "bf16"]) -> None:
    int8 = quantised("second")
    model = LowFromQuantised(int8, rest)()
    assert opset_of(model) >= 19
    assert holds_low_floats(model)
    # Only at the model's own input and output: the quantised parts have scales of the same type.
    assert sum(node.op_type == "Cast" for node in model.graph.node) == 2
    expected = OnnxRunner(int8).run({"x": ROWS})["y"]
    found = OnnxRunner(EmulatedFromMixed(model)()).run({"x": ROWS})["y"]
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()


def test_nodes_can_stay_in_fp32() -> None:
    model = LowFromQuantised(quantised("second"), "fp16", keep=frozenset({"second"}))()
    (second,) = (node for node in model.graph.node if node.name == "second")
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == second.input[1])
    assert weight.data_type == onnx.TensorProto.FLOAT


def test_tensorrt_takes_it_for_a_gpu_without_fp32_products() -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX has no wheel for this platform")
    from converters.build.events import StepProgress  # noqa: PLC0415 - only with TensorRT
    from converters.engines.base import BuildOptions  # noqa: PLC0415
    from converters.engines.profiles import Batch, profiles  # noqa: PLC0415
    from converters.engines.tensorrt_rtx import RtxBuilder  # noqa: PLC0415
    from converters.graph.signature import signature_of  # noqa: PLC0415

    model = LowFromQuantised(quantised("second"), "fp16")()
    options = BuildOptions(profiles(signature_of(model), Batch(1, 4, 8), {}), compute_capabilities=(75,))
    plan = RtxBuilder().build(model, options, StepProgress(lambda _: None, "m", "engine"))
    assert plan.compute_capabilities == (75,)
