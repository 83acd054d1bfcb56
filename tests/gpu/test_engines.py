"""Engines are built, run and compared on a real GPU."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import pytest

from converters.arrays import Array
from converters.engines.base import Builder, BuildOptions, Plan
from converters.engines.builders import builder as named
from converters.engines.gpus import gpus
from converters.engines.loaded import EngineRunner
from converters.errors import BadData, BadEngine
from tests.converters.engines.tiny_models import Seen, batches, convolution

pytestmark = pytest.mark.gpu


@pytest.fixture(params=["tensorrt", "tensorrt_rtx"], scope="module")
def builder(request: pytest.FixtureRequest) -> Builder:
    torch = pytest.importorskip("torch", reason="install the extra 'pytorch'")
    if not gpus() or not torch.cuda.is_available():
        pytest.skip("there is no NVIDIA GPU here")
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed here")
    made = named(request.param)
    if request.param == "tensorrt_rtx" and gpus()[0].compute_capability not in made.targets():
        pytest.skip(f"tensorrt_rtx does not build for {gpus()[0].name}")
    return made


@pytest.fixture(scope="module")
def plan(builder: Builder) -> Plan:
    return builder.build(convolution(), BuildOptions(profiles=batches()), Seen())


def expected(source: onnx.ModelProto, x: Array) -> Array:
    ort = pytest.importorskip("onnxruntime", reason="install the extra 'onnx'")
    session = ort.InferenceSession(source.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x})[0])


@pytest.mark.parametrize("size", [1, 3, 4])
def test_computes_what_onnx_runtime_computes(builder: Builder, plan: Plan, size: int) -> None:
    x = np.random.default_rng(1).standard_normal((size, 3, 8, 8)).astype(np.float32)
    runner = EngineRunner(plan.data, builder.name)
    try:
        result = runner.run({"x": x})["y"]
        assert builder.version in runner.name
    finally:
        runner.close()
    np.testing.assert_allclose(result, expected(convolution(), x), atol=2e-2)  # TF32


def test_shapes_and_types_outside_of_the_profile(builder: Builder, plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "model.plan"
    path.write_bytes(plan.data)
    runner = EngineRunner(path, builder.name)
    try:
        with pytest.raises(BadData, match="does not take x"):
            runner.run({"x": np.zeros((5, 3, 8, 8), np.float32)})
        with pytest.raises(BadData, match="takes FP32"):
            runner.run({"x": np.zeros((1, 3, 8, 8), np.float64)})
        with pytest.raises(BadData, match="no input 'x'"):
            runner.run({})
    finally:
        runner.close()


def test_damaged_engine(builder: Builder, plan: Plan) -> None:
    with pytest.raises(BadEngine):
        EngineRunner(plan.data[: len(plan.data) // 2], builder.name)


def test_weights_that_were_left_out_are_refitted(builder: Builder) -> None:
    x = np.random.default_rng(1).standard_normal((2, 3, 8, 8)).astype(np.float32)
    stripped = builder.build(convolution(), BuildOptions(profiles=batches(), strip_weights=True), Seen())
    runner = EngineRunner(stripped.data, builder.name, weights=convolution().SerializeToString())
    try:
        result = runner.run({"x": x})["y"]
    finally:
        runner.close()
    np.testing.assert_allclose(result, expected(convolution(), x), atol=2e-2)
