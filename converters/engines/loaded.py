"""Runs a plan on this machine's GPU, with the library that built it. Device memory is PyTorch's.

Nothing here can be run without a GPU; `tests/gpu/test_engines.py` does where there is one.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from converters.arrays import Array, Feeds, datatype_of, numpy_type
from converters.engines import explain, validity
from converters.engines.base import BuildOptions
from converters.engines.gpus import gpus
from converters.engines.messages import Messages, clean, logger_of
from converters.engines.nvidia import DATATYPES
from converters.errors import BadData, BadEngine, OutOfResources, ToolMissing, Unsupported


class EngineRunner:
    """An engine that is loaded, with one execution context: one run at a time. Close it before anything is built.

    Args:
        plan: its bytes, or its file.
        builder: "tensorrt" or "tensorrt_rtx", whichever built it.
        weights: the typed ONNX, serialized, that a plan without weights is refitted with; None if it has its own.

    Raises:
        ToolMissing: the library, PyTorch with CUDA, or a GPU is not there.
        BadEngine: the engine is damaged, or for another version or GPU.
        OutOfResources: the GPU has too little memory.
        Unsupported: an input or output is of a type that numpy does not have.
    """

    def __init__(self, plan: bytes | Path, builder: str, weights: bytes | None = None) -> None:
        self._trt = _library(builder)
        self._builder = builder
        data = plan if isinstance(plan, bytes) else plan.read_bytes()
        # An engine that runs on later versions says so nowhere that can be read; an older one is left to the library.
        lenient = builder == "tensorrt"
        told = {"builder": builder, "version": self._trt.__version__, "version_compatible": lenient}
        validity.check(data, **told)  # what can be said without a GPU comes first
        self._torch = _torch()
        validity.check(data, **told, compute_capability=gpus()[0].compute_capability)
        self._messages = Messages()
        self._runtime = self._trt.Runtime(logger_of(self._trt, self._messages))
        self._engine = self._runtime.deserialize_cuda_engine(data)
        if self._engine is None:
            raise BadEngine(
                self._said("the engine could not be loaded"), hint="build it on this machine's GPU and version"
            )
        if weights is not None:
            self._refit(weights)
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise OutOfResources(
                self._said("the engine's memory could not be had on the GPU"),
                hint="free memory on it, or build the engine for a smaller largest batch",
            )
        self._stream = self._torch.cuda.Stream()
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        self._datatypes = {name: _datatype(name, self._engine.get_tensor_dtype(name).name) for name in names}
        modes = {name: self._engine.get_tensor_mode(name) for name in names}
        self._inputs = tuple(name for name in names if modes[name] == self._trt.TensorIOMode.INPUT)
        self._outputs = tuple(name for name in names if modes[name] == self._trt.TensorIOMode.OUTPUT)

    @property
    def name(self) -> str:
        """What runs it, with its version and GPU."""
        return f"{self._builder} {self._trt.__version__} on {self._torch.cuda.get_device_name()}"

    def run(self, feeds: Feeds) -> Mapping[str, Array]:
        """All outputs by name for one batch.

        Raises:
            BadData: an input is missing, or of a type or shape that the engine does not take.
            OutOfResources: the GPU has too little memory.
        """
        self._select_profile(feeds)
        try:
            held = {name: self._to_device(name, feeds[name]) for name in self._inputs}
            for name, tensor in held.items():
                self._context.set_input_shape(name, tuple(tensor.shape))
                self._context.set_tensor_address(name, tensor.data_ptr())
            results = {name: self._allocate(name) for name in self._outputs}
            # Copies ran on PyTorch's own stream.
            self._stream.wait_stream(self._torch.cuda.current_stream())
            if not self._context.execute_async_v3(self._stream.cuda_stream):
                raise explain.build_error(self._messages, BuildOptions())
            self._stream.synchronize()
        except self._torch.cuda.OutOfMemoryError:
            raise OutOfResources(
                "the GPU has no memory left for the engine's inputs and outputs",
                hint="free memory on it, or verify with smaller batches",
            ) from None
        return {name: self._to_host(name, result.tensor()) for name, result in results.items()}

    def close(self) -> None:
        """Let go of the GPU's memory."""
        self._context = self._engine = self._runtime = None

    def _said(self, what: str) -> str:
        reasons = "; ".join(text for text in map(clean, self._messages.errors) if text)
        return f"{what}: {reasons}" if reasons else what

    def _refit(self, weights: bytes) -> None:
        refitter = self._trt.Refitter(self._engine, self._runtime.logger)
        parser = self._trt.OnnxParserRefitter(refitter, self._runtime.logger)
        if not (parser.refit_from_bytes(weights) and refitter.refit_cuda_engine()):
            raise BadEngine(
                self._said("the engine's weights do not fit the ONNX that was given for them"),
                hint="give the very ONNX that it was built from; engine.json names its SHA-256",
            )

    def _select_profile(self, feeds: Feeds) -> None:
        missing = [name for name in self._inputs if name not in feeds]
        if missing:
            raise BadData(f"there is no input '{missing[0]}' in the data", hint=f"give {', '.join(self._inputs)}")
        for name in self._inputs:
            wanted = self._datatypes[name]
            if datatype_of(feeds[name]) != wanted:
                raise BadData(
                    f"input '{name}' is {feeds[name].dtype}, and the engine takes {wanted}", hint="convert it"
                )
        for index in range(self._engine.num_optimization_profiles):
            if all(self._fits(name, index, feeds[name].shape) for name in self._inputs):
                if self._context.active_optimization_profile != index:
                    self._context.set_optimization_profile_async(index, self._stream.cuda_stream)
                    self._stream.synchronize()
                return
        shapes = ", ".join(f"{name} {list(feeds[name].shape)}" for name in self._inputs)
        limits = [(name, *self._range(name, 0)) for name in self._inputs]
        ranges = ", ".join(f"{name} from {list(low)} to {list(high)}" for name, low, high in limits)
        raise BadData(f"the engine does not take {shapes}", hint=f"give {ranges}, or build it with a wider profile")

    def _range(self, name: str, profile: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The smallest and the largest shape of an input."""
        fixed = tuple(self._engine.get_tensor_shape(name))
        if all(size >= 0 for size in fixed):
            return fixed, fixed
        low, _, high = self._engine.get_tensor_profile_shape(name, profile)
        return tuple(low), tuple(high)

    def _fits(self, name: str, profile: int, shape: tuple[int, ...]) -> bool:
        low, high = self._range(name, profile)
        return len(shape) == len(low) and all(a <= s <= b for a, s, b in zip(low, shape, high, strict=True))

    def _device(self, name: str) -> str:
        """Shapes that are computed with lie in the host's memory."""
        return "cpu" if self._engine.get_tensor_location(name) == self._trt.TensorLocation.HOST else "cuda"

    def _to_device(self, name: str, array: Array) -> Any:
        whole = np.ascontiguousarray(array)
        if datatype_of(whole) == "BF16":  # PyTorch knows numpy's own types only
            return self._torch.from_numpy(whole.view(np.int16)).view(self._torch.bfloat16).to(self._device(name))
        return self._torch.from_numpy(whole).to(self._device(name))

    def _to_host(self, name: str, tensor: Any) -> Array:
        if self._datatypes[name] == "BF16":
            return np.asarray(tensor.view(self._torch.int16).cpu().numpy()).view(numpy_type("BF16"))
        return np.asarray(tensor.cpu().numpy())

    def _allocate(self, name: str) -> Any:
        """Room for an output; where its shape depends on the data, the engine asks for it while it runs."""
        kind = getattr(self._torch, numpy_type(self._datatypes[name]).name)  # PyTorch names types as numpy does
        shape = tuple(self._context.get_tensor_shape(name))
        if all(size >= 0 for size in shape):
            tensor = self._torch.empty(shape, dtype=kind, device=self._device(name))
            self._context.set_tensor_address(name, tensor.data_ptr())
            return _Fixed(tensor)
        growing = _growing(self._trt, self._torch, kind)
        self._context.set_output_allocator(name, growing)
        return growing


class _Fixed:
    """An output whose shape was known before the run."""

    def __init__(self, tensor: Any) -> None:
        self._tensor = tensor

    def tensor(self) -> Any:
        return self._tensor


def _growing(trt: Any, torch: Any, kind: Any) -> Any:
    class Growing(trt.IOutputAllocator):  # type: ignore[misc]  # the library has no types
        """An output whose shape is known only after the run."""

        def __init__(self) -> None:
            trt.IOutputAllocator.__init__(self)
            self._room = torch.empty(0, dtype=torch.uint8, device="cuda")
            self._shape: tuple[int, ...] = (0,)

        def reallocate_output(self, _name: str, _memory: int, size: int, _alignment: int) -> int:
            if self._room.numel() < max(1, size):  # an empty output needs an address too
                self._room = torch.empty(max(1, size), dtype=torch.uint8, device="cuda")
            return int(self._room.data_ptr())

        def reallocate_output_async(self, name: str, memory: int, size: int, alignment: int, _stream: int) -> int:
            return self.reallocate_output(name, memory, size, alignment)

        def notify_shape(self, _name: str, shape: Any) -> None:
            self._shape = tuple(shape)

        def tensor(self) -> Any:
            size = int(np.prod(self._shape, dtype=np.int64)) * kind.itemsize
            return self._room[:size].view(kind).reshape(self._shape)

    return Growing()


def _datatype(tensor: str, kind: str) -> str:
    if kind not in DATATYPES:
        raise Unsupported(
            f"'{tensor}' of the engine is {kind}, which numpy does not have",
            hint="keep inputs and outputs in the model's own types ('keep_io: true')",
        )
    return DATATYPES[kind]


def _torch() -> Any:
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        raise ToolMissing(
            "engines are run with PyTorch, which is not installed", hint="install a PyTorch with CUDA beside TensorRT"
        ) from None
    if not gpus() or not torch.cuda.is_available():
        raise ToolMissing(
            "engines are run on a GPU, and PyTorch finds none here",
            hint="run this where 'nvidia-smi' lists a GPU and with a PyTorch that has CUDA",
        )
    return torch


def _library(builder: str) -> Any:
    try:
        return importlib.import_module(builder)
    except (ImportError, OSError):
        raise ToolMissing(
            f"'{builder}' is not installed", hint=f"install the '{builder}' that built the engine"
        ) from None
