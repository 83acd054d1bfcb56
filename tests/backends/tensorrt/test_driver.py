"""The real driver's code, against a driver of C functions that keep their memory on the host."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from backends.tensorrt.driver import CudaDriver, Device, DriverError, Gpu, OutOfMemory
from backends.tensorrt.fake import FakeDriver

GPU = Gpu(89, "an Ada GPU")
POINTER, SIZE, NUMBER = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
CONTEXT, STREAM = 0xC0_0000_0001, 0x5_0000_0001  # wider than 32 bits, as addresses are
WORDS = {2: b"out of memory", 802: b"system not yet initialized"}


class Library:
    """What is used of libcuda, as C functions; the one named `fails` returns `code`."""

    def __init__(self, fails: str = "", code: int = 0, gpus: int = 1) -> None:
        self._kept: list[Any] = []
        functions: dict[str, tuple[Callable[..., int], tuple[Any, ...]]] = {
            "cuInit": (lambda _: 0, (NUMBER,)),
            "cuDeviceGetCount": (lambda out: put(out, gpus), (POINTER,)),
            "cuDeviceGet": (put, (POINTER, NUMBER)),
            "cuDeviceGetName": (name, (POINTER, NUMBER, NUMBER)),
            "cuDeviceGetAttribute": (lambda out, which, _: put(out, {75: 8, 76: 9}[which]), (POINTER, NUMBER, NUMBER)),
            "cuDevicePrimaryCtxRetain": (lambda out, _: put(out, CONTEXT, ctypes.c_uint64), (POINTER, NUMBER)),
            "cuDevicePrimaryCtxRelease_v2": (lambda _: 0, (NUMBER,)),
            "cuCtxSetCurrent": (lambda context: 0 if context == CONTEXT else 201, (POINTER,)),
            "cuStreamCreate": (lambda out, _: put(out, STREAM, ctypes.c_uint64), (POINTER, NUMBER)),
            "cuStreamDestroy_v2": (on_stream, (POINTER,)),
            "cuStreamSynchronize": (on_stream, (POINTER,)),
            "cuMemAlloc_v2": (self._allocate, (POINTER, SIZE)),
            "cuMemFree_v2": (lambda _: 0, (ctypes.c_uint64,)),
            "cuMemcpyHtoDAsync_v2": (copy, (ctypes.c_uint64, POINTER, SIZE, POINTER)),
            "cuMemcpyDtoHAsync_v2": (copy, (POINTER, ctypes.c_uint64, SIZE, POINTER)),
            "cuGetErrorString": (self._words, (NUMBER, POINTER)),
        }
        for each, (function, arguments) in functions.items():
            done = (lambda *_: code) if each == fails else function
            setattr(self, each, ctypes.CFUNCTYPE(NUMBER, *arguments)(done))

    def _allocate(self, out: int, size: int) -> int:
        self._kept.append(ctypes.create_string_buffer(size))
        return put(out, ctypes.addressof(self._kept[-1]), ctypes.c_uint64)

    def _words(self, code: int, out: int) -> int:
        self._kept.append(ctypes.create_string_buffer(WORDS.get(code, b"unspecified")))
        return put(out, ctypes.addressof(self._kept[-1]), ctypes.c_uint64)


def put(out: int, value: int, kind: Any = NUMBER) -> int:
    ctypes.cast(out, ctypes.POINTER(kind))[0] = value
    return 0


def name(out: int, length: int, _: int) -> int:
    ctypes.memmove(out, b"an Ada GPU\0", min(length, 11))
    return 0


def copy(target: int, source: int, size: int, stream: int) -> int:
    ctypes.memmove(target, source, size)
    return on_stream(stream)


def on_stream(stream: int) -> int:
    return 0 if stream == STREAM else 400


@pytest.fixture(params=["driver", "fake"])
def device(request: pytest.FixtureRequest) -> Device:
    return CudaDriver(Library).open(0) if request.param == "driver" else FakeDriver(GPU).open(0)


def test_memory_goes_up_and_down_once_it_was_waited_for(device: Device) -> None:
    device.activate()
    sent, received = np.arange(1000, dtype=np.float32), np.zeros(1000, np.float32)
    address = device.allocate(sent.nbytes)
    device.upload(sent, address)
    device.download(address, received)
    device.wait()
    device.free(address)
    device.close()
    assert device.stream
    np.testing.assert_array_equal(received, sent)


def test_the_gpus_that_are_there() -> None:
    assert CudaDriver(Library).gpus() == (GPU,)
    assert CudaDriver(lambda: Library(gpus=0)).gpus() == ()
    assert FakeDriver(GPU).gpus() == (GPU,)


def test_no_driver_and_no_gpu_are_no_error() -> None:
    def absent() -> Any:
        raise OSError("libcuda.so.1: cannot open shared object file")

    assert CudaDriver(absent).gpus() == ()
    assert CudaDriver(lambda: Library("cuInit", 100)).gpus() == ()


def test_what_the_driver_says_is_passed_on() -> None:
    with pytest.raises(DriverError, match=r"CUDA says to cuInit: system not yet initialized \(802\)"):
        CudaDriver(lambda: Library("cuInit", 802)).gpus()
    with pytest.raises(OutOfMemory, match=r"CUDA says to cuMemAlloc_v2: out of memory \(2\)"):
        CudaDriver(lambda: Library("cuMemAlloc_v2", 2)).open(0).allocate(1 << 40)
    with pytest.raises(DriverError, match="cuStreamSynchronize"):
        CudaDriver(lambda: Library("cuStreamSynchronize", 700)).open(0).wait()


def test_a_code_that_the_driver_itself_does_not_know() -> None:
    library = Library("cuMemFree_v2", 1)
    library.cuGetErrorString = lambda *_: 1  # type: ignore[attr-defined]  # set by name
    with pytest.raises(DriverError, match=r"CUDA says to cuMemFree_v2: error \(1\)"):
        CudaDriver(lambda: library).open(0).free(1)
