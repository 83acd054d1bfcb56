"""Doubles of a GPU and of a TensorRT runtime, for tests on machines without one.

They keep what shapes the code: nothing on a stream happens before somebody waits for it, addresses are all that an
engine gets, an engine of another version is refused with no more than a line in the log, and memory runs out.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from backends.common.datatypes import Array
from backends.tensorrt.driver import DriverError, Gpu, OutOfMemory

Shapes = Mapping[str, tuple[int, ...]]


class FakeDevice:
    """A GPU in host memory, of `capacity` bytes."""

    stream = 7

    def __init__(self, capacity: int) -> None:
        self.memory: dict[int, Any] = {}
        self.queue: list[Callable[[], None]] = []
        self.active = self.closed = False
        self._capacity = capacity

    def activate(self) -> None:
        """See `Device`."""
        self.active = True

    def allocate(self, size: int) -> int:
        """See `Device`."""
        if not self.active:
            raise DriverError("invalid device context")
        if size + sum(len(block) for block in self.memory.values()) > self._capacity:
            raise OutOfMemory("out of memory")
        block = ctypes.create_string_buffer(size)
        self.memory[ctypes.addressof(block)] = block
        return ctypes.addressof(block)

    def free(self, address: int) -> None:
        """See `Device`."""
        del self.memory[address]

    def upload(self, array: Array, address: int) -> None:
        """See `Device`."""
        assert array.nbytes <= len(self.memory[address])  # noqa: S101 - the real one would write elsewhere
        self.queue.append(lambda: _copy(array.ctypes.data, address, array.nbytes))

    def download(self, address: int, array: Array) -> None:
        """See `Device`."""
        assert array.nbytes <= len(self.memory[address])  # noqa: S101 - the real one would read elsewhere
        self.queue.append(lambda: _copy(address, array.ctypes.data, array.nbytes))

    def wait(self) -> None:
        """See `Device`."""
        queue, self.queue = self.queue, []
        for work in queue:
            work()

    def close(self) -> None:
        """See `Device`."""
        self.closed = True


class FakeDriver:
    """A machine with these GPUs, each with so many bytes."""

    def __init__(self, *gpus: Gpu, capacity: int = 1 << 20) -> None:
        self._gpus = gpus
        self._devices = [FakeDevice(capacity) for _ in gpus]

    def gpus(self) -> tuple[Gpu, ...]:
        """See `Driver`."""
        return self._gpus

    def open(self, index: int) -> FakeDevice:
        """See `Driver`; the same each time."""
        self._devices[index].activate()
        return self._devices[index]


@dataclass(frozen=True, slots=True)
class FakeTensor:
    """An input or output of a fake engine; -1 is a dimension of any size."""

    datatype: str
    shape: tuple[int, ...]
    location: str = "DEVICE"
    layout: str = "LINEAR"


@dataclass(slots=True)
class FakeEngine:
    """An engine that is a function.

    Attributes:
        inputs, outputs: by name.
        compute: the outputs for inputs.
        shapes: the outputs' shapes for those of the inputs.
        profiles: the least, best and largest shape of each input.
        refittable: whether its weights can be changed.
        fails: what it logs when it runs; empty to run.
    """

    inputs: Mapping[str, FakeTensor]
    outputs: Mapping[str, FakeTensor]
    compute: Callable[[Mapping[str, Array]], Mapping[str, Array]]
    shapes: Callable[[Shapes], Shapes]
    profiles: Sequence[Mapping[str, tuple[tuple[int, ...], ...]]]
    refittable: bool = False
    fails: str = ""
    refitted: str = ""
    device: FakeDevice = field(default_factory=lambda: FakeDevice(0))
    said: Callable[[str], None] = print

    @property
    def num_io_tensors(self) -> int:
        """As `ICudaEngine`."""
        return len(self.inputs) + len(self.outputs)

    @property
    def num_optimization_profiles(self) -> int:
        """As `ICudaEngine`."""
        return len(self.profiles)

    def get_tensor_name(self, index: int) -> str:
        """As `ICudaEngine`."""
        return [*self.inputs, *self.outputs][index]

    def get_tensor_mode(self, name: str) -> str:
        """As `ICudaEngine`."""
        return "INPUT" if name in self.inputs else "OUTPUT"

    def get_tensor_dtype(self, name: str) -> Any:
        """As `ICudaEngine`."""
        return SimpleNamespace(name=self._tensor(name).datatype)

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        """As `ICudaEngine`."""
        return self._tensor(name).shape

    def get_tensor_location(self, name: str) -> str:
        """As `ICudaEngine`."""
        return self._tensor(name).location

    def get_tensor_format(self, name: str) -> str:
        """As `ICudaEngine`."""
        return self._tensor(name).layout

    def get_tensor_profile_shape(self, name: str, profile: int) -> tuple[tuple[int, ...], ...]:
        """As `ICudaEngine`."""
        return self.profiles[profile][name]

    def create_execution_context(self) -> FakeContext | None:
        """As `ICudaEngine`: nothing where the GPU has no memory at all."""
        try:
            self.device.free(self.device.allocate(1))
        except DriverError as error:
            self.said(f"createExecutionContext: Error Code 2: {error}")
            return None
        return FakeContext(self)

    def _tensor(self, name: str) -> FakeTensor:
        return {**self.inputs, **self.outputs}[name]


class FakeContext:
    """An execution context."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine
        self._addresses: dict[str, int] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self.profile = 0

    def set_optimization_profile_async(self, profile: int, stream: int) -> bool:
        """As `IExecutionContext`: shapes are forgotten."""
        assert stream == self._engine.device.stream  # noqa: S101 - another stream would race
        self.profile, self._shapes = profile, {}
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        """As `IExecutionContext`: only what the profile allows."""
        low, _, high = self._engine.profiles[self.profile][name]
        if not all(least <= size <= most for least, size, most in zip(low, shape, high, strict=True)):
            self._engine.said(f"setInputShape: Error Code 3: {name} does not satisfy any optimization profiles")
            return False
        self._shapes[name] = shape
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        """As `IExecutionContext`."""
        return self._engine.shapes(self._shapes)[name]

    def set_tensor_address(self, name: str, address: int) -> bool:
        """As `IExecutionContext`."""
        self._addresses[name] = address
        return address != 0

    def execute_async_v3(self, stream: int) -> bool:
        """As `IExecutionContext`; what it is to work with is what lies at the addresses when its turn comes."""
        assert stream == self._engine.device.stream  # noqa: S101 - another stream would race
        if self._engine.fails:
            self._engine.said(self._engine.fails)
            return False
        self._engine.device.queue.append(self._compute)
        return True

    def _compute(self) -> None:
        arrays = {}
        for name, shape in self._shapes.items():
            dtype = _NUMPY[self._engine.inputs[name].datatype]
            size = int(np.prod(shape)) * dtype.itemsize
            arrays[name] = np.frombuffer(ctypes.string_at(self._addresses[name], size), dtype).reshape(shape)
        for name, array in self._engine.compute(arrays).items():
            plain = np.ascontiguousarray(array)
            ctypes.memmove(self._addresses[name], plain.ctypes.data, plain.nbytes)


class FakeILogger:
    """The base class of loggers."""

    INTERNAL_ERROR, ERROR, WARNING = 0, 1, 2

    def log(self, severity: int, message: str) -> None:
        """For subclasses."""


def fake_library(engine: FakeEngine, version: str = "1.7.1.116") -> Any:
    """A double of the module `tensorrt` or `tensorrt_rtx` of a version, which opens this engine, whatever the file.

    The file's header must be of the same version, as with the real ones.
    """

    class FakeRuntime:
        def __init__(self, logger: Any) -> None:
            self._logger = logger
            engine.said = lambda message: logger.log(FakeILogger.ERROR, message)

        def deserialize_cuda_engine(self, data: bytes) -> FakeEngine | None:
            built = ".".join(map(str, data[24:28]))
            if built != version:
                self._logger.log(FakeILogger.ERROR, "deserializeCudaEngine: Error Code 6: version tag does not match")
                return None
            return engine

    class FakeRefitter:
        def __init__(self, refitted: FakeEngine, _: Any) -> None:
            self.engine = refitted

        def refit_cuda_engine(self) -> bool:
            return bool(self.engine.refitted)

    class FakeParserRefitter:
        def __init__(self, refitter: FakeRefitter, logger: Any) -> None:
            self._engine, self._logger = refitter.engine, logger

        def refit_from_file(self, path: str) -> bool:
            self._engine.refitted = path
            return True

    return SimpleNamespace(
        __version__=version,
        ILogger=FakeILogger,
        Runtime=FakeRuntime,
        Refitter=FakeRefitter,
        OnnxParserRefitter=FakeParserRefitter,
        TensorIOMode=SimpleNamespace(INPUT="INPUT"),
        TensorLocation=SimpleNamespace(DEVICE="DEVICE"),
        TensorFormat=SimpleNamespace(LINEAR="LINEAR"),
    )


def fake_plan(version: str = "1.7.1.116", targets: int = 0b1000, *, tag: bytes = b"vtrt", size: int = 64) -> bytes:
    """The bytes of an engine file that has nothing but a header."""
    parts = [int(part) for part in version.split(".")]
    head = tag + struct.pack("<I8xQ4B4sI", 0, size, *parts, tag, targets)
    return head.ljust(size, b"\0")


def _copy(source: int, target: int, size: int) -> None:
    ctypes.memmove(target, source, size)


_NUMPY: Mapping[str, np.dtype[Any]] = {
    "FLOAT": np.dtype(np.float32), "HALF": np.dtype(np.float16), "BF16": np.dtype(np.uint16),
    "INT8": np.dtype(np.int8), "INT32": np.dtype(np.int32), "INT64": np.dtype(np.int64), "BOOL": np.dtype(np.bool_),
}  # fmt: skip
