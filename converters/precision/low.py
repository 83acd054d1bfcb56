"""The floating-point types of 16 bits, and which numbers survive in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import onnx

from converters.arrays import Array

ENDLESS = 1e30
"""Numbers beyond this stand for infinity, as in attention masks: they become the largest number of the low type."""
TOO_SMALL = "is too small for"


@dataclass(frozen=True, slots=True)
class LowFloat:
    """A type that is cheaper than FP32.

    Attributes:
        name: as precisions are named, such as "fp16".
        code: its number in ONNX.
        kind: how ONNX's operator schemas name a tensor of it.
        dtype: its numpy type.
        opset: the first operator set in which nearly all operators take it.
        largest: the largest finite number.
        refused: operators that ONNX lets have it, and TensorRT does not.
    """

    name: str
    code: int
    kind: str
    dtype: np.dtype[Any]
    opset: int
    largest: float
    refused: frozenset[str] = frozenset()

    def rounded(self, array: Array) -> Array:
        """The array in this type; what stands for infinity becomes the largest number with its sign."""
        endless = np.isfinite(array) & (np.abs(array) > ENDLESS)
        clamped = np.where(endless, np.copysign(self.largest, array), array)
        with np.errstate(over="ignore", under="ignore"):
            return clamped.astype(self.dtype)

    def complaint(self, array: Array) -> str:
        """Why an array of constants must not be rounded to this type; empty if it may.

        Some small weights among large ones may well become zero. But a scale or an epsilon that is all there is must
        keep its value: so the rounding error of the whole array, relative to its norm, is what counts, and is not to be
        larger than what is left of 4 bits.
        """
        meant = array[np.isfinite(array) & (np.abs(array) <= ENDLESS)].astype(np.float64)
        highest = float(np.max(np.abs(meant), initial=0.0))
        if not highest:
            return ""
        if highest > self.largest:
            return f"holds {highest:.3g}, and {self.largest:.5g} is the largest {self.name.upper()}"
        error = np.linalg.norm(self.rounded(meant).astype(np.float64) - meant) / np.linalg.norm(meant)
        if error > 2**-4:
            return f"{TOO_SMALL} {self.name.upper()}: rounding changes it by {100 * error:.2g}%"
        return ""


FP16 = LowFloat(
    name="fp16",
    code=onnx.TensorProto.FLOAT16,
    kind="tensor(float16)",
    dtype=np.dtype(np.float16),
    opset=1,
    largest=65504.0,
)
# Conv, pooling, normalisation and many others take BF16 only since operator set 22.
BF16 = LowFloat(
    name="bf16",
    code=onnx.TensorProto.BFLOAT16,
    kind="tensor(bfloat16)",
    dtype=np.dtype(ml_dtypes.bfloat16),
    opset=22,
    largest=float(ml_dtypes.finfo(ml_dtypes.bfloat16).max),
    refused=frozenset({"ConvTranspose"}),  # seen with TensorRT-RTX 1.7: "could not infer output types"
)
LOW_FLOATS = (FP16, BF16)
FP8 = frozenset(int(getattr(onnx.TensorProto, f"FLOAT8{kind}")) for kind in ("E4M3FN", "E4M3FNUZ", "E5M2", "E5M2FNUZ"))
"""ONNX's codes of the types of 8 bits, which only quantised tensors have."""
