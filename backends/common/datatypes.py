"""Triton's datatypes and the numpy types that carry them.

Numpy has no bfloat16: a BF16 tensor travels as the `uint16` array of its bits, and only the backend's last step, which
hands it to the framework, gives the bits their meaning. Strings are object arrays of `bytes`, or of `str` where
a framework gives that, which Triton encodes as UTF-8.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from backends.common.errors import LoadError

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"

BF16 = "TYPE_BF16"
STRING = "TYPE_STRING"

NUMPY_TYPES: Mapping[str, "np.dtype[Any]"] = MappingProxyType(
    {
        "TYPE_BOOL": np.dtype(np.bool_),
        "TYPE_UINT8": np.dtype(np.uint8),
        "TYPE_UINT16": np.dtype(np.uint16),
        "TYPE_UINT32": np.dtype(np.uint32),
        "TYPE_UINT64": np.dtype(np.uint64),
        "TYPE_INT8": np.dtype(np.int8),
        "TYPE_INT16": np.dtype(np.int16),
        "TYPE_INT32": np.dtype(np.int32),
        "TYPE_INT64": np.dtype(np.int64),
        "TYPE_FP16": np.dtype(np.float16),
        "TYPE_FP32": np.dtype(np.float32),
        "TYPE_FP64": np.dtype(np.float64),
        BF16: np.dtype(np.uint16),
        STRING: np.dtype(np.object_),
    }
)


def numpy_type(datatype: str) -> "np.dtype[Any]":
    """The numpy type that carries a Triton datatype such as `TYPE_FP32`.

    Raises:
        LoadError: Triton has no such datatype.
    """
    try:
        return NUMPY_TYPES[datatype]
    except KeyError:
        raise LoadError(f"'{datatype}' is no datatype; valid ones are {', '.join(NUMPY_TYPES)}") from None
