import numpy as np
import onnx
import pytest

from converters.precision.base import Calibration, Precision
from converters.precision.bf16 import Bf16FromOnnx
from converters.precision.fp8 import Fp8FromOnnx
from converters.precision.fp16 import Fp16FromOnnx
from converters.precision.typed import Calibrated, TypedFromOnnx
from converters.precision.types import holds_low_floats, precision_of
from tests.converters.build.building import small_model
from tests.converters.precision.graphs_in_text import conv_net
from tests.converters.verify.doubles import Batches

DATA = Calibrated(Batches([{"x": np.ones((2, 8), np.float32)}]), Calibration())


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16", "int8", "fp8"])
def test_what_was_made_is_recognised(precision: Precision) -> None:
    assert precision_of(TypedFromOnnx(small_model(), precision, calibrated=DATA)()) == precision


def test_low_floats_are_noticed_wherever_they_are_told() -> None:
    model, feeds = conv_net()
    assert not holds_low_floats(model)
    lows = Fp16FromOnnx(model)(), Bf16FromOnnx(model, keep_io=False)(), Fp8FromOnnx(model, Batches([feeds]))()
    assert all(map(holds_low_floats, lows))
    bare = onnx.ModelProto()
    bare.CopyFrom(lows[0])
    del bare.graph.value_info[:], bare.graph.initializer[:]
    assert holds_low_floats(bare)
