"""Strings and bfloat16, which numpy and ONNX Runtime do not exchange by themselves."""

import ctypes
from typing import Any

import numpy as np

from backends.common.datatypes import Array
from backends.common.errors import RequestError

_ONNX_BFLOAT16 = 16  # TensorProto.DataType.BFLOAT16


def decoded(name: str, array: Array) -> Array:
    """The strings of input `name` as `str`: ONNX strings are UTF-8.

    Raises:
        RequestError: an element is not UTF-8.
    """
    try:
        flat = [item.decode() if isinstance(item, bytes) else item for item in array.ravel()]
    except UnicodeDecodeError as error:
        raise RequestError(
            f"input '{name}' holds bytes that are not UTF-8 ({error.reason}), which an ONNX string cannot hold",
            invalid=True,
        ) from None
    result = np.empty(len(flat), dtype=object)
    result[:] = flat
    return result.reshape(array.shape)


def bfloat16(ort: Any, bits: Array) -> Any:
    """ONNX Runtime's bfloat16 value from the `uint16` array of its bits; shares the array's memory."""
    ordered = bits if bits.flags.c_contiguous else bits.copy(order="C")
    return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(ordered, _ONNX_BFLOAT16)


def bfloat16_bits(value: Any) -> Array:
    """The bits of ONNX Runtime's bfloat16 value on the CPU, as a `uint16` array of its shape."""
    bits = np.empty(value.shape(), dtype=np.uint16)
    if bits.size:
        ctypes.memmove(bits.ctypes.data, value.data_ptr(), bits.nbytes)
    return bits


def array_of(value: Any) -> Array:
    """ONNX Runtime's value as an array; strings as objects."""
    array: Array = value.numpy()
    return array.astype(object) if array.dtype.kind == "U" else array
