"""What INT8 and FP8 leave over, in a 16-bit type: an engine then computes nothing in FP32 that need not be.

On sm_75 TensorRT has no FP32 matrix products at all, so a quantised model with one that is not quantised needs this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import onnx

from converters.lazy import Source, value_of
from converters.precision.graphs import prepared
from converters.precision.low import BF16, FP16
from converters.precision.mixed import mixed

SCALES_OPSET = 19
"""From here on QuantizeLinear and DequantizeLinear take scales of 16 bits: no Casts stand between them and the rest."""


@dataclass(frozen=True, slots=True)
class LowFromQuantised:
    """A quantised model whose other nodes are FP16 or BF16.

    Attributes:
        model: with Q/DQ nodes.
        rest: the type of what is not quantised.
        keep: nodes that stay in FP32.
        keep_io: inputs and outputs keep their types.
    """

    model: Source[onnx.ModelProto]
    rest: Literal["fp16", "bf16"]
    keep: frozenset[str] = frozenset()
    keep_io: bool = True

    def __call__(self) -> onnx.ModelProto:
        """Convert.

        Raises:
            Unsupported: the graph cannot be brought to the operator set that this needs.
        """
        model = prepared(value_of(self.model), opset=SCALES_OPSET)
        there = {node.name for node in model.graph.node}
        low = FP16 if self.rest == "fp16" else BF16
        return mixed(model, low, keep_io=self.keep_io, keep=self.keep & there).model
