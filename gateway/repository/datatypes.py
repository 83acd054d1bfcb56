"""The protocol's datatypes, the numpy types that carry them, and the other names that people know them by.

Numpy has no bfloat16: a BF16 tensor is the `uint16` array of its bits, here as in the backends.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType

BYTES = "BYTES"
BF16 = "BF16"

NUMPY_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "BOOL": "bool",
        "UINT8": "uint8",
        "UINT16": "uint16",
        "UINT32": "uint32",
        "UINT64": "uint64",
        "INT8": "int8",
        "INT16": "int16",
        "INT32": "int32",
        "INT64": "int64",
        "FP16": "float16",
        "FP32": "float32",
        "FP64": "float64",
        BF16: "uint16",
        BYTES: "object",
    }
)
"""The numpy type, by the protocol's name."""

_OTHER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        **{numpy: datatype for datatype, numpy in NUMPY_NAMES.items() if datatype not in (BF16, BYTES)},
        "bfloat16": BF16,
        "boolean": "BOOL",
        "byte": "UINT8",
        "bytes": BYTES,
        "double": "FP64",
        "float": "FP32",
        "half": "FP16",
        "int": "INT32",
        "long": "INT64",
        "str": BYTES,
        "string": BYTES,
    }
)


def normalise(datatype: str) -> str:
    """The protocol's name for a datatype in any usual spelling: `fp32`, `float32`, `TYPE_FP32` or `torch.float32`.

    Raises:
        ValueError: nobody calls a datatype so; the message names the nearest one.
    """
    plain = datatype.strip().rpartition(".")[2].removeprefix("TYPE_").lower()
    found = plain.upper() if plain.upper() in NUMPY_NAMES else _OTHER_NAMES.get(plain)
    if found:
        return found
    nearest = difflib.get_close_matches(plain, [name.lower() for name in NUMPY_NAMES] + list(_OTHER_NAMES), n=1)
    hint = f"did you mean {normalise(nearest[0])}?" if nearest else f"use one of {', '.join(NUMPY_NAMES)}"
    raise ValueError(f"{datatype!r} is no datatype; {hint}")


def of_array(dtype: str) -> str | None:
    """The protocol's name for what an array of this numpy type (`str(array.dtype)`) holds; None if it has none.

    Text arrays (`<U5`, `|S3`) hold BYTES.
    """
    if dtype.lstrip("<>=|")[:1] in ("U", "S"):
        return BYTES
    return _OTHER_NAMES.get(dtype.lstrip("<>=|"))


def in_config(datatype: str) -> str:
    """As `config.pbtxt` writes it: TYPE_FP32, and TYPE_STRING for BYTES."""
    return "TYPE_STRING" if datatype == BYTES else f"TYPE_{datatype}"
