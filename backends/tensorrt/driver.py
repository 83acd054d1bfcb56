"""A GPU's memory and streams by way of the CUDA driver, which every machine with an NVIDIA GPU has.

A framework would bring the same and take hundreds of MiB in each backend process. `fake.py` has the double.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from backends.common.datatypes import Array

_NO_DEVICE = frozenset({100, 34})  # CUDA_ERROR_NO_DEVICE, CUDA_ERROR_STUB_LIBRARY
_OUT_OF_MEMORY = 2
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_...
_NAME_BYTES = 128


class DriverError(Exception):
    """The driver refused something; the message is its own words."""


class OutOfMemory(DriverError):
    """The GPU has no memory left for this."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU: its compute capability, such as 89 for sm_89, and its name."""

    capability: int
    name: str


class Device(Protocol):
    """One GPU in use, with one stream on which everything is done in order."""

    @property
    def stream(self) -> int:
        """The stream's handle, as TensorRT takes it."""

    def activate(self) -> None:
        """Make this the GPU of the calling thread."""

    def allocate(self, size: int) -> int:
        """The address of so many bytes of its memory.

        Raises:
            OutOfMemory: it has no more.
        """

    def free(self, address: int) -> None:
        """Give memory back."""

    def upload(self, array: Array, address: int) -> None:
        """Copy a contiguous array there; it must stay as it is until `wait`."""

    def download(self, address: int, array: Array) -> None:
        """Copy from there into a contiguous array; it is filled after `wait`."""

    def wait(self) -> None:
        """Wait until all is done; what failed meanwhile is raised here."""

    def close(self) -> None:
        """Let go of the GPU."""


class Driver(Protocol):
    """The GPUs of this machine."""

    def gpus(self) -> tuple[Gpu, ...]:
        """All that this process may use; none where there is no driver. Raises `DriverError` if it is broken."""

    def open(self, index: int) -> Device:
        """One of them, ready for use."""


class CudaDriver:
    """The real driver.

    Args:
        open_library: gives the driver's library; raises OSError where there is none.
    """

    def __init__(self, open_library: Callable[[], Any] = lambda: ctypes.CDLL("libcuda.so.1")) -> None:
        self._open_library = open_library

    def gpus(self) -> tuple[Gpu, ...]:
        """See `Driver`."""
        try:
            cuda = _Cuda(self._open_library())
        except OSError:
            return ()
        count = ctypes.c_int()
        code = cuda.code("cuInit", 0) or cuda.code("cuDeviceGetCount", ctypes.byref(count))
        if code in _NO_DEVICE:
            return ()
        cuda.check("cuInit", code)
        return tuple(_gpu(cuda, index) for index in range(count.value))

    def open(self, index: int) -> CudaDevice:
        """See `Driver`."""
        cuda = _Cuda(self._open_library())
        cuda.call("cuInit", 0)
        return CudaDevice(cuda, index)


class CudaDevice:
    """A real GPU, by its primary context, which TensorRT uses too."""

    def __init__(self, cuda: _Cuda, index: int) -> None:
        self._cuda = cuda
        device, context, stream = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p()
        cuda.call("cuDeviceGet", ctypes.byref(device), index)
        cuda.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self._device, self._context = device, context
        self.activate()
        cuda.call("cuStreamCreate", ctypes.byref(stream), 0)
        self._stream = stream

    @property
    def stream(self) -> int:
        """See `Device`."""
        return self._stream.value or 0

    def activate(self) -> None:
        """See `Device`."""
        self._cuda.call("cuCtxSetCurrent", self._context)

    def allocate(self, size: int) -> int:
        """See `Device`."""
        address = ctypes.c_uint64()
        self._cuda.call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(size))
        return address.value

    def free(self, address: int) -> None:
        """See `Device`."""
        self._cuda.call("cuMemFree_v2", ctypes.c_uint64(address))

    def upload(self, array: Array, address: int) -> None:
        """See `Device`."""
        size = ctypes.c_size_t(array.nbytes)
        self._cuda.call("cuMemcpyHtoDAsync_v2", ctypes.c_uint64(address), _pointer(array), size, self._stream)

    def download(self, address: int, array: Array) -> None:
        """See `Device`."""
        size = ctypes.c_size_t(array.nbytes)
        self._cuda.call("cuMemcpyDtoHAsync_v2", _pointer(array), ctypes.c_uint64(address), size, self._stream)

    def wait(self) -> None:
        """See `Device`."""
        self._cuda.call("cuStreamSynchronize", self._stream)

    def close(self) -> None:
        """See `Device`."""
        self._cuda.call("cuStreamDestroy_v2", self._stream)
        self._cuda.call("cuDevicePrimaryCtxRelease_v2", self._device)


class _Cuda:
    """The driver's functions, each of which returns an error code."""

    def __init__(self, library: Any) -> None:
        self._library = library

    def code(self, function: str, *arguments: Any) -> int:
        return int(getattr(self._library, function)(*arguments))

    def call(self, function: str, *arguments: Any) -> None:
        self.check(function, self.code(function, *arguments))

    def check(self, function: str, code: int) -> None:
        if code:
            words = ctypes.c_char_p()
            self.code("cuGetErrorString", code, ctypes.byref(words))
            kind = OutOfMemory if code == _OUT_OF_MEMORY else DriverError
            raise kind(f"CUDA says to {function}: {(words.value or b'error').decode()} ({code})")


def _gpu(cuda: _Cuda, index: int) -> Gpu:
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    name = ctypes.create_string_buffer(_NAME_BYTES)
    cuda.call("cuDeviceGet", ctypes.byref(device), index)
    cuda.call("cuDeviceGetName", name, _NAME_BYTES, device)
    cuda.call("cuDeviceGetAttribute", ctypes.byref(major), _MAJOR, device)
    cuda.call("cuDeviceGetAttribute", ctypes.byref(minor), _MINOR, device)
    return Gpu(major.value * 10 + minor.value, name.value.decode())


def _pointer(array: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
