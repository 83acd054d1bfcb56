"""Between numpy arrays and what a PyTorch model takes and returns: tensors, lists of strings, plain numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.common.datatypes import BF16, STRING, Array
from backends.common.errors import LoadError, RequestError
from backends.pytorch.naming import SCALARS

_TORCH_NAMES = {
    "TYPE_BOOL": "bool",
    "TYPE_UINT8": "uint8",
    "TYPE_UINT16": "uint16",
    "TYPE_UINT32": "uint32",
    "TYPE_UINT64": "uint64",
    "TYPE_INT8": "int8",
    "TYPE_INT16": "int16",
    "TYPE_INT32": "int32",
    "TYPE_INT64": "int64",
    "TYPE_FP16": "float16",
    "TYPE_FP32": "float32",
    "TYPE_FP64": "float64",
    BF16: "bfloat16",
}
_DATATYPES = {f"torch.{name}": datatype for datatype, name in _TORCH_NAMES.items()}


def datatype_of(dtype: Any) -> str:
    """Triton's datatype of a PyTorch one; PyTorch's own name where Triton has none."""
    return _DATATYPES.get(str(dtype), str(dtype))


def tensor_of(torch: Any, array: Array, datatype: str, device: str) -> Any:
    """A tensor on the device; on the CPU it shares the array's memory."""
    # PyTorch has no read-only tensors, and a strided one would be slower than a copy.
    writable = array if array.flags.writeable and array.flags.c_contiguous else np.array(array, order="C")
    tensor = torch.from_numpy(writable)
    if datatype == BF16:
        tensor = tensor.view(torch.bfloat16)
    return tensor if device == "cpu" else tensor.to(device)


def array_of(torch: Any, name: str, value: Any, datatype: str) -> Array:
    """Output `name` as an array of the configured datatype; on the CPU it shares the tensor's memory.

    Raises:
        RequestError: the model returned something else.
    """
    if datatype == STRING:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise RequestError(f"output '{name}' is {_described(torch, value)}, but config.pbtxt says {datatype}")
        return np.array([item.encode() for item in value], dtype=object)
    if not torch.is_tensor(value) or datatype_of(value.dtype) != datatype:
        raise RequestError(f"output '{name}' is {_described(torch, value)}, but config.pbtxt says {datatype}")
    tensor = value.detach().cpu().contiguous()
    array: Array = tensor.view(torch.uint16).numpy() if datatype == BF16 else tensor.numpy()
    return array


def strings_of(name: str, array: Array) -> list[str]:
    """Input `name` as a list of strings.

    Raises:
        RequestError: it has more than one dimension, or bytes that are not UTF-8.
    """
    if array.ndim != 1:
        raise RequestError(f"input '{name}' is a list of strings and needs one dimension", invalid=True)
    try:
        return [item.decode() if isinstance(item, bytes) else str(item) for item in array]
    except UnicodeDecodeError as error:
        raise RequestError(f"input '{name}' holds bytes that are not UTF-8 ({error.reason})", invalid=True) from None


def scalar_of(name: str, array: Array, kind: str) -> int | float | bool:
    """Input `name` as the plain number of an argument of type `int`, `float` or `bool`.

    Raises:
        RequestError: it holds no element, or elements that differ.
    """
    if array.size == 0 or (array != array.flat[0]).any():
        raise RequestError(f"input '{name}' is a plain {kind} to the model and needs one value", invalid=True)
    number: int | float | bool = SCALARS[kind](array.flat[0])
    return number


def check_scalar_datatype(name: str, kind: str, datatype: str) -> None:
    """Whether a configured datatype can feed an argument of type `int`, `float` or `bool`.

    Raises:
        LoadError: it cannot.
    """
    family = {"int": ("TYPE_INT", "TYPE_UINT"), "float": ("TYPE_FP",), "bool": ("TYPE_BOOL",)}[kind]
    if not datatype.startswith(family):
        raise LoadError(f"input '{name}': 'data_type' is {datatype}, but the model's argument is a plain {kind}")


def _described(torch: Any, value: Any) -> str:
    return datatype_of(value.dtype) if torch.is_tensor(value) else type(value).__name__
