"""FP32 to FP8 (E4M3) for what multiplies with weights, by explicit Q/DQ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import ml_dtypes
import numpy as np
import onnx
from onnx import numpy_helper

from converters.arrays import Array
from converters.data.base import Dataset
from converters.errors import Place, Unsupported
from converters.graph.types import element_types
from converters.lazy import Source, value_of
from converters.precision.base import Calibration
from converters.precision.choice import FLOAT
from converters.precision.graphs import (
    check_names,
    checked,
    drop_unused_weights,
    is_depthwise,
    prepared,
    replace,
    unused,
    value_names,
)
from converters.precision.ranges import ranges

OPSET = 19
"""The first operator set in which Q/DQ takes FP8."""

_E4M3 = np.dtype(ml_dtypes.float8_e4m3fn)
_LARGEST = 448.0
# FP8 floats, so a scale that is larger than it must be costs nothing; and like this it can be FP16 too.
_LEAST_SCALE = 2.0**-14
_OPERATORS = ("Conv", "Gemm", "MatMul")


@dataclass(frozen=True, slots=True)
class Fp8FromOnnx:
    """The model with inputs and weights of matrix products and convolutions in FP8, and all else as it was.

    Depthwise convolutions stay as they are, unless `calibration.operators` names Conv: each of their channels has a
    range of its own, and they multiply too little to gain. Activations get one scale for a tensor, weights one for
    each output channel or for the whole. Weights are stored in FP8. GPUs know FP8 since SM89. `Fp16FromOnnx` of the
    result computes the rest in FP16.

    Attributes:
        model: in FP32.
        data: for calibration.
        calibration: how ranges are found; its operators default to Conv, Gemm and MatMul.
        keep: names of nodes that are not quantised.
    """

    model: Source[onnx.ModelProto]
    data: Dataset
    calibration: Calibration = field(default_factory=Calibration)
    keep: frozenset[str] = frozenset()

    def __call__(self) -> onnx.ModelProto:
        """Convert.

        Raises:
            ConfigError: `keep` names a node that is not there.
            BadData: the calibration data doesn't fit the model, or drives it to NaN.
            Unsupported: the graph cannot be rewritten for operator set 19, or holds nothing that could be FP8.
        """
        model = prepared(value_of(self.model), opset=OPSET)
        check_names(self.keep, model.graph, step="fp8")
        nodes = self._quantisable(model)
        if not nodes and not self.keep:
            raise Unsupported(
                "no node of this model multiplies with constant weights in FP32",
                hint="use fp16 for this model",
                place=Place(step="fp8"),
            )
        found = ranges(model, self.data, self.calibration, [node.input[0] for node in nodes])
        quantising = _Quantising(model, {name: max(abs(low), abs(high)) for name, (low, high) in found.items()})
        for node in nodes:
            quantising.quantise(node, per_channel=self.calibration.per_channel)
        return checked(quantising.done(), step="fp8")

    def _quantisable(self, model: onnx.ModelProto) -> list[onnx.NodeProto]:
        types = element_types(model)
        shapes = {tensor.name: tensor.dims for tensor in model.graph.initializer if tensor.data_type == FLOAT}
        operators = self.calibration.operators or _OPERATORS
        return [
            node
            for node in model.graph.node
            if node.op_type in operators
            and node.op_type in _OPERATORS
            and node.name not in self.keep
            and types.get(node.input[0]) == FLOAT
            and node.input[0] not in shapes
            and len(shapes.get(node.input[1], ())) >= 2
            and (self.calibration.operators or not is_depthwise(node, shapes[node.input[1]]))
        ]


class _Quantising:
    """The new graph. Made for one model, used once."""

    def __init__(self, model: onnx.ModelProto, largest: Mapping[str, float]) -> None:
        self._model = model
        self._largest = largest
        self._weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        self._taken = value_names(model.graph) | {node.name for node in model.graph.node}
        self._before: dict[str, list[onnx.NodeProto]] = {}  # by the node that reads it first
        self._done: dict[tuple[str, int | None], str] = {}

    def quantise(self, node: onnx.NodeProto, *, per_channel: bool) -> None:
        """Let a node read its input and its weights through FP8."""
        before = self._before.setdefault(node.name, [])
        node.input[0] = self._activation(node.input[0], before)
        node.input[1] = self._weight(node.input[1], _channel_axis(node) if per_channel else None, before)

    def done(self) -> onnx.ModelProto:
        """The whole new model."""
        graph = self._model.graph
        replace(graph.node, [each for node in graph.node for each in (*self._before.get(node.name, ()), node)])
        drop_unused_weights(graph)
        return self._model

    def _activation(self, name: str, before: list[onnx.NodeProto]) -> str:
        if (name, None) not in self._done:
            scale = np.array(max(self._largest[name] / _LARGEST, _LEAST_SCALE), np.float32)
            operands = self._constants(name, scale)
            quantised = unused(f"{name}_fp8", self._taken)
            result = unused(f"{name}_from_fp8", self._taken)
            before += [
                onnx.helper.make_node("QuantizeLinear", [name, *operands], [quantised], name=quantised),
                onnx.helper.make_node("DequantizeLinear", [quantised, *operands], [result], name=result),
            ]
            self._done[name, None] = result
        return self._done[name, None]

    def _weight(self, name: str, axis: int | None, before: list[onnx.NodeProto]) -> str:
        if (name, axis) not in self._done:
            weight = self._weights[name]
            others = tuple(each for each in range(weight.ndim) if axis is None or each != axis % weight.ndim)
            largest = np.max(np.abs(weight), axis=others, keepdims=True)
            scale = np.maximum(largest / _LARGEST, _LEAST_SCALE).astype(np.float32)
            stored = unused(f"{name}_fp8", self._taken)
            self._model.graph.initializer.append(numpy_helper.from_array((weight / scale).astype(_E4M3), stored))
            result = unused(f"{name}_from_fp8", self._taken)
            operands = self._constants(name, scale.reshape(()) if axis is None else scale.reshape(-1))
            options = {} if axis is None else {"axis": axis % weight.ndim}
            before.append(
                onnx.helper.make_node("DequantizeLinear", [stored, *operands], [result], name=result, **options)
            )
            self._done[name, axis] = result
        return self._done[name, axis]

    def _constants(self, name: str, scale: Array) -> tuple[str, str]:
        """Names of new constants for a scale and for its zero points, which say by their type that it is FP8."""
        names = unused(f"{name}_scale", self._taken), unused(f"{name}_zero", self._taken)
        zeros = np.zeros(scale.shape, _E4M3)
        for constant, value in zip(names, (scale, zeros), strict=True):
            self._model.graph.initializer.append(numpy_helper.from_array(value, constant))
        return names


def _channel_axis(node: onnx.NodeProto) -> int:
    """The dimension of its weights that becomes the channels of its output."""
    if node.op_type == "Gemm":
        return 0 if any(attribute.name == "transB" and attribute.i for attribute in node.attribute) else 1
    return 0 if node.op_type == "Conv" else -1
