"""ONNX to an engine, with whichever builder."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from converters.engines.base import Builder, BuildOptions, Plan, Progress
from converters.errors import ConversionError
from converters.lazy import Source, value_of


@dataclass(frozen=True, slots=True)
class EngineFromOnnx:
    """Builds a plan.

    Attributes:
        source: typed ONNX, as the conversions of `precision/` give it.
        builder: that does it.
        options: how.
        progress: is told.
    """

    source: Source[onnx.ModelProto]
    builder: Builder
    options: BuildOptions
    progress: Progress

    def __call__(self) -> Plan:
        """The plan.

        Raises:
            ConversionError: as `Builder.build` says, with the builder as its step.
        """
        model = value_of(self.source)
        try:
            return self.builder.build(model, self.options, self.progress)
        except ConversionError as error:
            raise error.at(step=f"engine {self.builder.name}") from None
