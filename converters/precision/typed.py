"""The conversions by the precision that they lead to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnx

from converters.data.base import Dataset
from converters.errors import BadData
from converters.precision.base import Calibration, Precision, Rest, ServedBy
from converters.precision.bf16 import Bf16FromOnnx
from converters.precision.fp8 import Fp8FromOnnx
from converters.precision.fp16 import Fp16FromOnnx
from converters.precision.int8 import Int8FromOnnx
from converters.precision.modelopt import ModelOptFromOnnx
from converters.precision.rest import LowFromQuantised


@dataclass(frozen=True, slots=True)
class Calibrated:
    """Data, and how it is used."""

    data: Dataset
    calibration: Calibration


@dataclass(frozen=True, slots=True)
class TypedFromOnnx:
    """An FP32 model in any precision.

    Attributes:
        model: in FP32.
        precision: to convert to.
        keep: nodes that stay in FP32.
        keep_io: inputs and outputs keep their types.
        calibrated: for INT8 and FP8; None otherwise.
        rest: for INT8 and FP8: the precision of what is not quantised, in an engine.
        modelopt: the interpreter of an environment with ModelOpt, which then converts; None leaves it to us.
        unquantised: for INT8 and FP8: nodes that are not quantised, and have the precision `rest`.
        served_by: INT8 is written as TensorRT takes it, or as ONNX Runtime's CPU provider runs it fastest.
    """

    model: onnx.ModelProto
    precision: Precision
    keep: frozenset[str] = frozenset()
    keep_io: bool = True
    calibrated: Calibrated | None = None
    rest: Rest = "fp32"
    served_by: ServedBy = "tensorrt"
    modelopt: Path | None = None
    unquantised: frozenset[str] = frozenset()

    def __call__(self) -> onnx.ModelProto:
        """Convert.

        Raises:
            BadData: the precision needs calibration data and there is none.
            ConversionError: as the precision's own conversion says.
        """
        if self.precision == "fp32":
            return self.model
        if self.modelopt is not None:
            return self._by_modelopt(self.modelopt)
        if self.precision == "fp16":
            return Fp16FromOnnx(self.model, keep_io=self.keep_io, keep=self.keep)()
        if self.precision == "bf16":
            return Bf16FromOnnx(self.model, keep_io=self.keep_io, keep=self.keep)()
        if self.calibrated is None:
            raise BadData(f"{self.precision} needs calibration data, and there is none", hint="give data.calibration")
        quantised = self._quantised(self.calibrated)
        if self.rest == "fp32" or self.served_by == "cpu":
            return quantised()
        return LowFromQuantised(quantised, self.rest, self.keep, self.keep_io)()

    def _by_modelopt(self, python: Path) -> onnx.ModelProto:
        data = self.calibrated.data if self.calibrated else None
        how = self.calibrated.calibration if self.calibrated else Calibration()
        return ModelOptFromOnnx(self.model, self.precision, python, data, how, self._not_quantised, self.keep_io)()

    def _quantised(self, calibrated: Calibrated) -> Callable[[], onnx.ModelProto]:
        data, how = calibrated.data, calibrated.calibration
        if self.precision == "fp8":
            return Fp8FromOnnx(self.model, data, how, keep=self._not_quantised)
        return Int8FromOnnx(self.model, data, how, keep=self._not_quantised, served_by=self.served_by)

    @property
    def _not_quantised(self) -> frozenset[str]:
        return self.keep | self.unquantised


def low_nodes(model: onnx.ModelProto) -> frozenset[str]:
    """The nodes of a typed graph that keeping in FP32 would change: those that are quantised, or all if none is."""
    dequantised = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    nodes = [node for node in model.graph.node if not dequantised or dequantised.intersection(node.input)]
    return frozenset(node.name for node in nodes if node.op_type not in ("QuantizeLinear", "DequantizeLinear"))
