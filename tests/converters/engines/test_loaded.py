"""Running an engine, with a library and a GPU that are made up: the real ones are in `tests/gpu/test_engines.py`.

The made-up engine copies its input to its output in the host's memory, which PyTorch is told to call "cuda".
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from converters.engines import loaded
from converters.engines.gpus import Gpu
from converters.engines.loaded import EngineRunner
from converters.engines.validity import pack_header
from converters.errors import BadData, BadEngine, OutOfResources, ToolMissing, Unsupported

VERSION = "1.7.1.116"
PLAN = pack_header(b"vtrt", VERSION, (89,), 64)
PROFILES = [((1, 2), (2, 2), (4, 2)), ((8, 2), (8, 2), (16, 2))]


class Engine:
    num_io_tensors = 2
    num_optimization_profiles = 2

    def get_tensor_name(self, index: int) -> str:
        return "xy"[index]

    def get_tensor_mode(self, name: str) -> str:
        return "in" if name == "x" else "out"

    def get_tensor_dtype(self, name: str) -> Any:
        return SimpleNamespace(name="FLOAT")

    def get_tensor_location(self, name: str) -> str:
        return "device"

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (-1, 2)

    def get_tensor_profile_shape(self, name: str, profile: int) -> Any:
        return PROFILES[profile]

    def create_execution_context(self) -> Any:
        return Context()


class Context:
    active_optimization_profile = 0

    def __init__(self) -> None:
        self.addresses: dict[str, int] = {}
        self.shape: tuple[int, ...] = ()
        self.allocators: dict[str, Any] = {}

    def set_optimization_profile_async(self, index: int, stream: int) -> None:
        self.active_optimization_profile = index

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> None:
        low, _, high = PROFILES[self.active_optimization_profile]
        assert low <= shape <= high
        self.shape = shape

    def set_tensor_address(self, name: str, address: int) -> None:
        self.addresses[name] = address

    def set_output_allocator(self, name: str, allocator: Any) -> None:
        self.allocators[name] = allocator

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.shape

    def execute_async_v3(self, stream: int) -> bool:
        size = 4 * int(np.prod(self.shape))
        for name, allocator in self.allocators.items():
            self.addresses[name] = allocator.reallocate_output_async(name, 0, size, 256, stream)
            allocator.notify_shape(name, self.shape)
        ctypes.memmove(self.addresses["y"], self.addresses["x"], size)
        return True


class OutOfMemoryError(Exception):
    pass


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Any:
    torch = pytest.importorskip("torch", reason="install the extra 'pytorch'")
    stream = SimpleNamespace(cuda_stream=1, synchronize=lambda: None, wait_stream=lambda _: None)
    cuda = SimpleNamespace(
        Stream=lambda: stream,
        current_stream=lambda: stream,
        get_device_name=lambda: "RTX",
        OutOfMemoryError=OutOfMemoryError,
    )
    on_host = SimpleNamespace(
        cuda=cuda,
        from_numpy=lambda array: SimpleNamespace(to=lambda _: torch.from_numpy(array)),
        empty=lambda shape, dtype, **_: torch.empty(shape, dtype=dtype),
        float32=torch.float32,
        uint8=torch.uint8,
    )
    made = SimpleNamespace(
        __version__=VERSION,
        ILogger=type("ILogger", (), {"ERROR": 0, "INTERNAL_ERROR": 1, "WARNING": 2}),
        IOutputAllocator=object,
        Runtime=lambda logger: SimpleNamespace(deserialize_cuda_engine=lambda _: Engine(), logger=logger),
        TensorIOMode=SimpleNamespace(INPUT="in", OUTPUT="out"),
        TensorLocation=SimpleNamespace(HOST="host"),
    )
    monkeypatch.setattr(loaded, "gpus", lambda: (Gpu("RTX", 89, 1),))
    monkeypatch.setattr(loaded, "_torch", lambda: on_host)
    monkeypatch.setattr(loaded, "_library", lambda _: made)
    return made


@pytest.fixture
def runner(library: Any) -> Iterator[EngineRunner]:
    made = EngineRunner(PLAN, "tensorrt_rtx")
    yield made
    made.close()


@pytest.mark.parametrize("size", [1, 4, 8, 16, 2])
def test_takes_the_profile_that_fits(runner: EngineRunner, size: int) -> None:
    x = np.arange(2 * size, dtype=np.float32).reshape(size, 2)
    np.testing.assert_array_equal(runner.run({"x": x})["y"], x)


def test_goes_from_one_profile_to_another(runner: EngineRunner) -> None:
    for size in (16, 1, 9):
        x = np.full((size, 2), size, np.float32)
        np.testing.assert_array_equal(runner.run({"x": x})["y"], x)


def test_output_whose_shape_depends_on_the_data(runner: EngineRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Context, "get_tensor_shape", lambda *_: (-1, 2))
    x = np.arange(8, dtype=np.float32).reshape(4, 2)
    np.testing.assert_array_equal(runner.run({"x": x})["y"], x)


@pytest.mark.parametrize(
    ("feeds", "said"),
    [
        ({}, "no input 'x'"),
        ({"x": np.zeros((1, 2))}, "is float64, and the engine takes FP32"),
        ({"x": np.zeros((5, 2), np.float32)}, r"x \[5, 2\]; give x from \[1, 2\] to \[4, 2\]"),
        ({"x": np.zeros((1, 2, 1), np.float32)}, r"x \[1, 2, 1\]"),
    ],
)
def test_input_that_the_engine_does_not_take(runner: EngineRunner, feeds: dict[str, Any], said: str) -> None:
    with pytest.raises(BadData, match=said):
        runner.run(feeds)


def test_names_what_runs(runner: EngineRunner) -> None:
    assert runner.name == "tensorrt_rtx 1.7.1.116 on RTX"


def test_reads_a_file(library: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.plan"
    path.write_bytes(PLAN)
    runner = EngineRunner(path, "tensorrt_rtx")
    assert runner.name.startswith("tensorrt_rtx")
    runner.close()


def test_engine_for_another_gpu_is_refused_before_it_is_loaded(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaded, "gpus", lambda: (Gpu("T4", 75, 1),))
    with pytest.raises(BadEngine, match="for sm_89, and this GPU is sm_75"):
        EngineRunner(PLAN, "tensorrt_rtx")


def test_type_that_numpy_does_not_have(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "get_tensor_dtype", lambda *_: SimpleNamespace(name="FP8"))
    with pytest.raises(Unsupported, match="'x' of the engine is FP8"):
        EngineRunner(PLAN, "tensorrt_rtx")


def test_engine_that_the_library_refuses(library: Any) -> None:
    library.Runtime = lambda _: SimpleNamespace(deserialize_cuda_engine=lambda _: None)
    with pytest.raises(BadEngine, match="could not be loaded"):
        EngineRunner(PLAN, "tensorrt_rtx")


def test_gpu_without_room(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "create_execution_context", lambda _: None)
    with pytest.raises(OutOfResources, match="memory could not be had"):
        EngineRunner(PLAN, "tensorrt_rtx")


def test_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="install the extra 'pytorch'")
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", SimpleNamespace(__version__=VERSION))
    monkeypatch.setattr(loaded, "gpus", tuple)
    with pytest.raises(ToolMissing, match="engines are run on a GPU") as caught:
        EngineRunner(PLAN, "tensorrt_rtx")
    assert "nvidia-smi" in caught.value.hint


def test_there_is_no_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", SimpleNamespace(__version__=VERSION))
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ToolMissing, match="PyTorch, which is not installed"):
        EngineRunner(PLAN, "tensorrt_rtx")


@pytest.mark.parametrize(("plan", "told"), [(b"", "is empty"), (PLAN[:-1], "cut off"), (PLAN + b"x", "cut off")])
def test_a_damaged_engine_is_found_out_without_a_gpu(monkeypatch: pytest.MonkeyPatch, plan: bytes, told: str) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", SimpleNamespace(__version__=VERSION))
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(BadEngine, match=told):
        EngineRunner(plan, "tensorrt_rtx")


def test_an_engine_of_another_version_is_found_out_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", SimpleNamespace(__version__="1.8.0.1"))
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(BadEngine, match=r"was built by tensorrt_rtx 1.7.1.116, and this is 1.8.0.1"):
        EngineRunner(PLAN, "tensorrt_rtx")
