"""The backend `tensorrt` with the real driver and the real runtimes: what its double is held to, they are held to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from backends.tensorrt.driver import CudaDriver, Gpu
from backends.tensorrt.served import EngineBackend
from tests.backends.tensorrt.engines import LARGE, ON_GPU, SMALL, configured, doubles

pytestmark = pytest.mark.gpu

RTX_TARGETS = (75, 80, 86, 89, 120, 121)


@pytest.fixture(scope="module")
def gpu() -> Gpu:
    gpus = CudaDriver().gpus()
    if not gpus:
        pytest.skip("the CUDA driver sees no NVIDIA GPU")
    return gpus[0]


def library(name: str, gpu: Gpu) -> Any:
    reason = {"tensorrt": "pip install tensorrt", "tensorrt_rtx": "pip install tensorrt-rtx"}[name]
    module = pytest.importorskip(name, reason=f"{name} is not installed: {reason}")
    if name == "tensorrt_rtx" and gpu.capability not in RTX_TARGETS:
        pytest.skip(f"TensorRT for RTX has no target sm_{gpu.capability} ({gpu.name})")
    return module


def doubling(path: Path) -> None:
    """`y = x W` with W twice the identity, any batch."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4]) for name in "xy")
    weights = numpy_helper.from_array(2 * np.eye(4, dtype=np.float32), "w")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"], name="double")], "g", [x], [y], [weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def build(trt: Any, folder: Path, *, strip: bool = False) -> Path:
    """The model as an engine for this GPU, with a profile for few rows and one for many."""
    doubling(folder / "model.onnx")
    builder = trt.Builder(logger := trt.Logger(trt.Logger.WARNING))
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    assert trt.OnnxParser(network, logger).parse_from_file(str(folder / "model.onnx"))
    config = builder.create_builder_config()
    if strip:
        config.set_flag(trt.BuilderFlag.STRIP_PLAN)
    for shapes in (SMALL, LARGE):
        profile = builder.create_optimization_profile()
        profile.set_shape("x", *shapes)
        config.add_optimization_profile(profile)
    (folder / "model.plan").write_bytes(bytes(builder.build_serialized_network(network, config)))
    return folder


@pytest.mark.parametrize("name", ["tensorrt", "tensorrt_rtx"])
def test_a_real_engine_keeps_the_contract(name: str, gpu: Gpu, tmp_path: Path) -> None:
    folder = build(library(name, gpu), tmp_path)
    (folder / "model.onnx").unlink()
    assert EngineBackend().inspect(folder, {}).inputs[0].shape == (-1, 4)
    model = EngineBackend().load(folder, configured(), ON_GPU)
    doubles(model)
    model.close()


@pytest.mark.parametrize("name", ["tensorrt", "tensorrt_rtx"])
def test_an_engine_without_weights_gets_them_from_the_onnx_beside_it(name: str, gpu: Gpu, tmp_path: Path) -> None:
    model = EngineBackend().load(build(library(name, gpu), tmp_path, strip=True), configured(), ON_GPU)
    doubles(model)
    model.close()


def test_memory_of_a_real_gpu(gpu: Gpu) -> None:
    assert gpu.capability >= 50
    device = CudaDriver().open(0)
    sent, received = np.arange(1000, dtype=np.float32), np.zeros(1000, np.float32)
    address = device.allocate(sent.nbytes)
    device.upload(sent, address)
    device.download(address, received)
    device.wait()
    device.free(address)
    device.close()
    np.testing.assert_array_equal(received, sent)
