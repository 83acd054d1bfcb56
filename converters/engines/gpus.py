"""The GPUs of this machine, asked of NVIDIA's driver itself: no CUDA toolkit and no framework is needed."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

_MAJOR, _MINOR = 75, 76  # CUdevice_attribute
_NAME_BYTES = 256


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU.

    Attributes:
        name: such as "NVIDIA GeForce RTX 4090".
        compute_capability: such as 89 for `sm_89`.
        memory: in bytes.
    """

    name: str
    compute_capability: int
    memory: int


def gpus(driver: Any = None) -> tuple[Gpu, ...]:
    """The GPUs that this process may use (`CUDA_VISIBLE_DEVICES` is heeded), in CUDA's order; empty without any.

    A process that has asked must not `fork` workers that use the GPU: CUDA does not survive that. Use `spawn`.

    Args:
        driver: the driver's library; None loads it.
    """
    library = _driver() if driver is None else driver
    count = ctypes.c_int()
    if library is None or library.cuInit(0) != 0 or library.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return ()
    return tuple(_gpu(library, index) for index in range(count.value))


def _driver() -> Any:
    try:
        return ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None


def _gpu(library: Any, index: int) -> Gpu:
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    memory = ctypes.c_size_t()
    name = ctypes.create_string_buffer(_NAME_BYTES)
    library.cuDeviceGet(ctypes.byref(device), index)
    library.cuDeviceGetName(name, _NAME_BYTES, device)
    library.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device)
    library.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device)
    library.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    return Gpu(name.value.decode("utf-8", "replace"), 10 * major.value + minor.value, memory.value)
