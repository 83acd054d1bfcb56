"""FP32 to FP16, in mixed precision."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from converters.lazy import Source, value_of
from converters.precision.low import FP16
from converters.precision.mixed import mixed


@dataclass(frozen=True, slots=True)
class Fp16FromOnnx:
    """The model with every node in FP16 that can be; `converters.precision.mixed` says which cannot, and why.

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
            Unsupported: the graph contradicts itself, or holds nothing that could be FP16.
        """
        return mixed(value_of(self.model), FP16, keep_io=self.keep_io, keep=self.keep).model
