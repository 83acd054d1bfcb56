"""FP32 to BF16, in mixed precision. BF16 has the range of FP32 and fewer digits than FP16; GPUs know it since SM80."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from converters.lazy import Source, value_of
from converters.precision.low import BF16
from converters.precision.mixed import mixed


@dataclass(frozen=True, slots=True)
class Bf16FromOnnx:
    """The model with every node in BF16 that can be; `converters.precision.mixed` says which cannot, and why.

    Attributes:
        model: in FP32.
        keep_io: inputs and outputs keep their types, so that clients need not change.
        keep: names of nodes that stay in FP32.
    """

    model: Source[onnx.ModelProto]
    keep_io: bool = True
    keep: frozenset[str] = frozenset()

    def __call__(self) -> onnx.ModelProto:
        """Convert.

        Raises:
            ConfigError: `keep` names a node that is not there.
            Unsupported: the graph contradicts itself, cannot be rewritten for operator set 22, or holds nothing
                that could be BF16.
        """
        return mixed(value_of(self.model), BF16, keep_io=self.keep_io, keep=self.keep).model
