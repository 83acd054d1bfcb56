"""The tensors that models take and give, as numpy holds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Feeds: TypeAlias = Mapping[str, Array]
"""Input tensors by name, each with its batch dimension."""

# Names of the Open Inference Protocol. BF16 and FP8 have no numpy type of their own: `ml_dtypes` gives them.
DATATYPES: Mapping[str, str] = {
    "bool": "BOOL", "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64", "int8": "INT8",
    "int16": "INT16", "int32": "INT32", "int64": "INT64", "float16": "FP16", "float32": "FP32", "float64": "FP64",
    "bfloat16": "BF16", "object": "BYTES",
}  # fmt: skip


def datatype_of(array: Array) -> str:
    """The protocol's name of an array's element type; empty if it has none."""
    return "BYTES" if array.dtype.kind in "SU" else DATATYPES.get(array.dtype.name, "")


def numpy_type(datatype: str) -> np.dtype[Any]:
    """The numpy type of a protocol's datatype.

    Raises:
        KeyError: it has none.
    """
    names = {name: numpy_name for numpy_name, name in DATATYPES.items()}
    if datatype == "BF16":
        import ml_dtypes  # noqa: PLC0415 - comes with onnx, and only BF16 needs it

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(names[datatype])
