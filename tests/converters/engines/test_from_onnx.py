from __future__ import annotations

import pytest

from converters.engines.base import BuildOptions
from converters.engines.fake import FakeBuilder
from converters.engines.from_onnx import EngineFromOnnx
from converters.errors import Unsupported
from tests.converters.engines.tiny_models import Seen, convolution, foreign

OPTIONS = BuildOptions(compute_capabilities=(89,))


def test_takes_a_model_or_what_makes_one() -> None:
    seen = Seen()
    plan = EngineFromOnnx(convolution(1), FakeBuilder(), OPTIONS, seen)()
    assert plan.compute_capabilities == (89,)
    assert seen.stages
    assert EngineFromOnnx(lambda: convolution(1), FakeBuilder(), OPTIONS, Seen())() == plan


def test_errors_say_at_which_step() -> None:
    with pytest.raises(Unsupported, match=r"^engine fake, node swirl \(Swirl\): "):
        EngineFromOnnx(foreign, FakeBuilder(), OPTIONS, Seen())()
