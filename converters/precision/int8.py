"""FP32 to INT8, by QuantizeLinear and DequantizeLinear nodes around what is to run in INT8."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import onnx

from converters.data.base import Dataset
from converters.errors import ConfigError, ConversionError, OutOfResources, Place, Unsupported
from converters.graph.subgraphs import graphs_of
from converters.graph.types import element_types
from converters.lazy import Source, value_of
from converters.nearest import nearest
from converters.precision.base import Calibration, ServedBy
from converters.precision.graphs import (
    captured,
    check_names,
    checked,
    is_depthwise,
    prepared,
    replace,
    unused,
    value_names,
)
from converters.precision.ranges import ranges

STEP = "int8"
OPSET = 13
"""The first operator set in which a weight can have a scale for each channel.

Scales stay FP32 before operator set 19, also in FP16 models: those of some channels are too small for FP16.
"""
WEIGHTED = frozenset({"Conv", "Gemm", "MatMul"})
# Run for nothing behind a quantised Conv: they become a part of its output's range.
_FUSED = frozenset({"Relu", "Clip"})
_FLOAT = onnx.TensorProto.FLOAT


@dataclass(frozen=True, slots=True)
class Int8FromOnnx:
    """The model with its heavy nodes in INT8: scales from calibration data, Q/DQ nodes by ONNX Runtime's quantiser.

    Where `calibration.operators` is empty, nodes with constant weights are quantised (Conv, Gemm, MatMul), except
    depthwise convolutions: each of their channels has a range of its own, which costs accuracy, and they do too little
    arithmetic to become faster.

    What serves it decides what is fast, and TensorRT refuses what is best on a CPU:

    - "tensorrt": signed and symmetric, inputs and weights of each node quantised, biases and outputs left alone, so
      that what follows a convolution gets its whole resolution. `Fp16FromOnnx` of the result computes the rest in FP16;
      TensorRT-RTX has no FP32 matrix products for SM75, so engines for it need that.
    - "cpu": ONNX Runtime's kernels want unsigned activations with a zero point, INT32 biases, and a quantised output
      of each convolution. Gate it on a CPU of the kind that serves: those without VNNI instructions saturate sums that
      others hold.

    Attributes:
        model: in FP32; best simplified, so that normalisations are part of the convolutions before them.
        data: real input to calibrate with; some hundred samples are usual.
        calibration: how ranges are found.
        keep: names of nodes that stay in FP32.
        served_by: what is going to run it.
    """

    model: Source[onnx.ModelProto]
    data: Dataset
    calibration: Calibration
    keep: frozenset[str] = frozenset()
    served_by: ServedBy = "tensorrt"

    def __call__(self) -> onnx.ModelProto:
        """Convert.

        Raises:
            BadData: the data doesn't fit the model's inputs, or drives a tensor to NaN or infinity.
            ConfigError: `keep` names a node that is not there, or `calibration.operators` an operator.
            Unsupported: there is nothing to quantise, or the graph contradicts itself or cannot be rewritten for
                operator set 13.
            OutOfResources: no memory or disk is left.
        """
        model = prepared(value_of(self.model), opset=OPSET)
        check_names(self.keep, model.graph, step=STEP)
        chosen = self._chosen(model)
        if not chosen:  # all that could be is kept: the quantiser would take an empty list for all nodes
            return checked(model, step=STEP)
        try:
            found = ranges(model, self.data, self.calibration, self._tensors(model, chosen))
        except ConversionError as error:
            raise error.at(step=STEP) from None
        _unshare_biases(model.graph, chosen)
        return checked(self._quantised(model, chosen, found), step=STEP)

    def _chosen(self, model: onnx.ModelProto) -> list[onnx.NodeProto]:
        """The nodes to quantise."""
        _refuse_unknown(self.calibration.operators)
        types = element_types(model)
        weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
        chosen = []
        outputs_of_convolutions: set[str] = set()
        for node in model.graph.node:
            if node.name in self.keep or node.domain not in {"", "ai.onnx"}:
                continue
            if not node.input or types.get(node.input[0]) != _FLOAT:
                continue
            if self.calibration.operators:
                wanted = node.op_type in self.calibration.operators
            else:
                fused = self.served_by == "cpu" and node.op_type in _FUSED and node.input[0] in outputs_of_convolutions
                wanted = fused or _gains(node, weights)
            if wanted:
                chosen.append(node)
            if wanted and node.op_type == "Conv":
                outputs_of_convolutions.update(node.output)
        if not chosen and not self.keep:
            raise Unsupported(
                f"there is nothing to quantise: the FP32 graph has {_operators(model)}",
                hint="name other operators in the calibration, or use FP16",
                place=Place(step=STEP),
            )
        return chosen

    def _bare(self, operators: frozenset[str]) -> frozenset[str]:
        """Operators whose outputs are not quantised."""
        # A MatMul on a CPU gives FP32 as fast as INT8, and much more of its accuracy.
        return operators if self.served_by == "tensorrt" else operators & {"Gemm", "MatMul"}

    def _tensors(self, model: onnx.ModelProto, chosen: Sequence[onnx.NodeProto]) -> list[str]:
        """What the quantiser may ask the range of."""
        types = element_types(model)
        weights = {tensor.name for tensor in model.graph.initializer}
        bare = self._bare(frozenset(node.op_type for node in chosen))
        names = []
        for node in chosen:
            names.extend(node.input)
            names.extend(() if node.op_type in bare else node.output)
        return [name for name in names if types.get(name) == _FLOAT and name not in weights]

    def _quantised(
        self, model: onnx.ModelProto, chosen: Sequence[onnx.NodeProto], found: Mapping[str, tuple[float, float]]
    ) -> onnx.ModelProto:
        # Heavy, and only needed here.
        from onnxruntime.quantization import CalibrationMethod, QuantType  # noqa: PLC0415
        from onnxruntime.quantization.calibrate import TensorsData  # noqa: PLC0415
        from onnxruntime.quantization.qdq_quantizer import QDQQuantizer  # noqa: PLC0415

        operators = frozenset(node.op_type for node in chosen)
        names = [node.name for node in chosen]
        symmetric = self.served_by == "tensorrt"
        limits = {name: (np.float32(low), np.float32(high)) for name, (low, high) in found.items()}
        with _shapes_known(model), _quietly():
            try:
                quantiser = QDQQuantizer(
                    model,
                    self.calibration.per_channel,
                    False,  # weights keep all their 8 bits
                    QuantType.QInt8,
                    QuantType.QInt8 if symmetric else QuantType.QUInt8,
                    TensorsData(CalibrationMethod.MinMax, limits),
                    names,
                    [],
                    sorted(operators),
                    {
                        "ActivationSymmetric": symmetric,
                        "WeightSymmetric": True,
                        "QuantizeBias": not symmetric,  # TensorRT refuses an INT32 bias
                        "OpTypesToExcludeOutputQuantization": sorted(self._bare(operators)),
                    },
                )
                quantised: onnx.ModelProto = quantiser.quantize_model()
                replace(quantised.graph.node, _in_order(quantised.graph.node))
            except MemoryError:
                hint = "quantise fewer operators, or use a machine with more memory"
                raise OutOfResources("no memory is left to quantise the weights", hint=hint, place=_PLACE) from None
            except Exception as error:
                raise Unsupported(
                    f"ONNX Runtime's quantiser fails: {' '.join(str(error).split())[:300] or type(error).__name__}",
                    hint="keep the node that it speaks of, or quantise fewer operators",
                    place=_PLACE,
                ) from error
        return quantised


_PLACE = Place(step=STEP)


def _gains(node: onnx.NodeProto, weights: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether a node becomes faster in INT8 at little cost."""
    if node.op_type not in WEIGHTED or len(node.input) < 2 or node.input[1] not in weights:
        return False
    return not is_depthwise(node, weights[node.input[1]])


def _unshare_biases(graph: onnx.GraphProto, nodes: Sequence[onnx.NodeProto]) -> None:
    """Give each node a bias of its own: the quantiser does it by a number behind the name, which may be another's."""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    taken = value_names(graph)
    seen: set[str] = set()
    for node in nodes:
        if len(node.input) == 3 and node.input[2] in weights:
            if node.input[2] in seen:
                copy = graph.initializer.add()
                copy.CopyFrom(weights[node.input[2]])
                copy.name = node.input[2] = unused(copy.name, taken)
            seen.add(node.input[2])


def _in_order(nodes: Sequence[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Each node after those that it reads from, which the quantiser does not care for; else in the order given."""
    producers = {name: index for index, node in enumerate(nodes) for name in node.output}
    needs = [
        [producers[name] for name in (*node.input, *sorted(captured(node))) if name in producers] for node in nodes
    ]
    order: dict[int, onnx.NodeProto] = {}
    for index in range(len(nodes)):
        waiting = [index]
        while waiting:
            missing = [need for need in needs[waiting[-1]] if need not in order]
            if missing:
                waiting.extend(missing)
            else:
                order.setdefault(waiting[-1], nodes[waiting[-1]])
                waiting.pop()
    return list(order.values())


def _refuse_unknown(operators: Sequence[str]) -> None:
    known = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""}
    for operator in operators:
        if operator not in known:
            raise ConfigError(f"ONNX has no operator '{operator}'", hint=nearest(operator, known), place=_PLACE)


def _operators(model: onnx.ModelProto) -> str:
    found = sorted({node.op_type for graph in graphs_of(model.graph) for node in graph.node})
    return ", ".join(found[:12]) + (" and others" if len(found) > 12 else "") if found else "no nodes"


@contextmanager
def _shapes_known(model: onnx.ModelProto) -> Iterator[None]:
    """Tells ONNX Runtime's quantiser that shapes are inferred: it would write the model to disk to do it again."""
    mark = model.metadata_props.add(key="onnx.infer", value="onnxruntime.quant")
    try:
        yield
    finally:
        model.metadata_props.remove(mark)


@contextmanager
def _quietly() -> Iterator[None]:
    """Keeps the quantiser from logging to the root logger, and from configuring it on the way."""

    def of_others(record: logging.LogRecord) -> bool:
        return "onnxruntime" not in record.pathname

    root = logging.getLogger()
    handler = logging.NullHandler()
    root.addHandler(handler)
    root.addFilter(of_others)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeFilter(of_others)
        root.removeHandler(handler)
