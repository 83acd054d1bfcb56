from __future__ import annotations

import pytest

from converters.engines.base import BuildOptions
from converters.engines.fake import FakeBuilder, model_in
from converters.errors import OutOfResources
from tests.converters.engines.tiny_models import Seen, convolution


def test_plan_holds_the_model() -> None:
    source = convolution(1)
    plan = FakeBuilder().build(source, BuildOptions(compute_capabilities=(75,)), Seen())
    assert model_in(plan.data) == source


def test_pretends_to_have_a_gpu_or_little_memory() -> None:
    assert FakeBuilder(gpu=89).build(convolution(1), BuildOptions(), Seen()).compute_capabilities == (89,)
    with pytest.raises(OutOfResources):
        FakeBuilder(gpu=89, memory=10).build(convolution(1), BuildOptions(), Seen())
