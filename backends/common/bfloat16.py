"""BF16 tensors in and out of Triton's Python backend, as the `uint16` arrays of their bits.

Triton's `Tensor.as_numpy` refuses BF16; only DLPack carries it. Numpy speaks DLPack too but knows no bfloat16, so the
datatype in the DLPack header is rewritten on the way: numpy keeps its part in owning the memory, nothing is copied,
and no framework is needed.

The header is the `DLTensor` of the DLPack specification, ABI version 0.
"""

import ctypes
from typing import Any, Protocol

import numpy as np

from backends.common.datatypes import Array

_UNSIGNED = 1  # kDLUInt
_BFLOAT = 4  # kDLBfloat


class DLPackSource(Protocol):
    """A tensor that gives a DLPack capsule, as Triton's `Tensor` does."""

    def to_dlpack(self) -> Any:
        """A capsule named `dltensor` that owns a reference to the tensor."""

    def __dlpack_device__(self) -> tuple[int, int]:
        """The device's type and number."""


class _Header(ctypes.Structure):
    """The head of a `DLTensor`, up to its datatype."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("dtype_code", ctypes.c_uint8),
        ("dtype_bits", ctypes.c_uint8),
        ("dtype_lanes", ctypes.c_uint16),
    )


class _Relabelled:
    """A DLPack tensor whose datatype code has been replaced."""

    def __init__(self, capsule: Any, device: tuple[int, int]) -> None:
        self._capsule = capsule
        self._device = device

    def __dlpack__(self, **_options: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._device


def _relabel(capsule: Any, code: int) -> None:
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype = ctypes.c_void_p
    get_pointer.argtypes = (ctypes.py_object, ctypes.c_char_p)
    _Header.from_address(get_pointer(capsule, b"dltensor")).dtype_code = code


def bits_from_tensor(tensor: DLPackSource) -> Array:
    """The bits of a BF16 tensor on the CPU, as a read-only `uint16` array of its shape that shares its memory."""
    capsule = tensor.to_dlpack()
    _relabel(capsule, _UNSIGNED)
    return np.from_dlpack(_Relabelled(capsule, tensor.__dlpack_device__()))


def capsule_from_bits(bits: Array) -> Any:
    """A DLPack capsule of a BF16 tensor from the `uint16` array of its bits; whoever gets it must take the memory.

    Copies only what DLPack cannot share.
    """
    if not (bits.flags.writeable and bits.flags.c_contiguous):
        bits = np.array(bits, order="C")
    capsule = bits.__dlpack__()
    _relabel(capsule, _BFLOAT)
    # Triton renames a capsule that it has taken to a name of its own, which numpy's destructor does not know and
    # answers with an error. Triton releases the memory itself, so the capsule needs no destructor.
    set_destructor = ctypes.pythonapi.PyCapsule_SetDestructor
    set_destructor.argtypes = (ctypes.py_object, ctypes.c_void_p)
    set_destructor(capsule, None)
    return capsule
