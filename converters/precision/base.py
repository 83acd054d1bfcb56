"""What the precisions share: their names, and how INT8 is calibrated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Precision = Literal["fp32", "fp16", "bf16", "int8", "fp8"]
Rest = Literal["fp32", "fp16", "bf16"]
"""What the nodes of an INT8 or FP8 model can have that are not quantised."""
ServedBy = Literal["tensorrt", "cpu"]
"""What runs a result: INT8 is written differently for each."""

QUANTISED: frozenset[Precision] = frozenset({"int8", "fp8"})
"""The precisions that need calibration data."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How ranges of activations are found.

    Attributes:
        method: "minmax" takes the whole range that was seen, "entropy" the one that keeps most information,
            "percentile" the one that leaves the outermost values out.
        percentile: for "percentile", in percent.
        per_channel: a scale for each output channel of a weight, instead of one for the whole weight.
        operators: only nodes of these are quantised; empty means those that gain from it.
    """

    method: Literal["minmax", "entropy", "percentile"] = "minmax"
    percentile: float = 99.99
    per_channel: bool = True
    operators: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """Nodes that do not get a variant's precision.

    Attributes:
        fp32: that stay in FP32.
        unquantised: of INT8 and FP8: that are not quantised, and have the precision of what is left over.
    """

    fp32: frozenset[str] = frozenset()
    unquantised: frozenset[str] = frozenset()

    def with_found(self, names: frozenset[str], rest: str) -> Kept:
        """With nodes that a search has found; where what is left over is FP16 or BF16, they become that."""
        if rest == "fp32":
            return Kept(self.fp32 | names, self.unquantised)
        return Kept(self.fp32, self.unquantised | names)
