import numpy as np

from converters.precision.emulated import EmulatedFromMixed
from converters.precision.fp16 import Fp16FromOnnx
from tests.converters.precision.graphs_in_text import conv_net, inputs_of, run, type_of


def test_it_composes_and_keeps_what_it_is_told() -> None:
    model, feeds = conv_net()
    result = Fp16FromOnnx(lambda: model, keep=frozenset({"first"}))()
    assert inputs_of(result, "first") == ["FLOAT", "FLOAT"]
    assert inputs_of(result, "second") == ["FLOAT16", "FLOAT16"]
    assert type_of(result, "image") == "FLOAT"
    assert np.allclose(run(EmulatedFromMixed(result)(), feeds)["scores"], run(model, feeds)["scores"], atol=2e-3)


def test_inputs_and_outputs_change_when_they_may() -> None:
    result = Fp16FromOnnx(conv_net()[0], keep_io=False)()
    assert (type_of(result, "image"), type_of(result, "scores")) == ("FLOAT16", "FLOAT16")
