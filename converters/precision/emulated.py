"""Mixed precision to FP32 that rounds like it, so that it can be run where the low type cannot.

ONNX Runtime's CPU provider has no kernels in BF16 for most operators. For FP16 it quietly computes in FP32 and leaves
out the rounding in between: what overflows or loses digits on a GPU looks perfect there. FP8 it quantises and
dequantises, but then it fuses these with convolutions into operators that do not know FP8. So what a model of mixed
precision does to accuracy is measured on this graph instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper

from converters.errors import Place, Unsupported
from converters.graph.names import label
from converters.graph.types import element_types
from converters.lazy import Source, value_of
from converters.precision.choice import FLOAT, MOVERS
from converters.precision.graphs import captured, prepared, replace, unused, value_names
from converters.precision.low import FP8, LOW_FLOATS


@dataclass(frozen=True, slots=True)
class EmulatedFromMixed:
    """The same computation in FP32, with each value rounded to the type that it has in the mixed model.

    Inputs and outputs are FP32 under their own names, even where the mixed model's are not. An operator's inner sums
    are not rounded, as GPUs add up in FP32 too; nodes keep their names.

    Attributes:
        model: in mixed precision, with FP16, BF16 or FP8. Any other is given back as it is, but for names and shapes.
    """

    model: Source[onnx.ModelProto]

    def __call__(self) -> onnx.ModelProto:
        """Convert.

        Raises:
            Unsupported: the body of an If, a Loop or a Scan handles FP16 or BF16.
        """
        model = prepared(value_of(self.model))
        graph = model.graph
        codes = {low.code for low in LOW_FLOATS}
        types = element_types(model)
        low = {name: code for name, code in types.items() if code in codes}
        _refuse_bodies(graph, low)
        taken = value_names(graph)
        nodes: list[onnx.NodeProto] = []
        for value in graph.input:
            if value.name in low:
                _round_input(value, low[value.name], graph, taken, nodes)
        for node in graph.node:
            if node.op_type == "QuantizeLinear" and types.get(node.output[0]) in FP8:
                nodes.extend(_quantised(node, types[node.output[0]], graph, taken))
            elif node.op_type == "DequantizeLinear" and types.get(node.input[0]) in FP8:
                nodes.extend(_dequantised(node, graph, taken))
            else:
                nodes.append(node)
            nodes.extend(_rounded(nodes[-1], low, taken))
        replace(graph.node, nodes)
        replace(graph.initializer, [_widened(tensor) if tensor.name in low else tensor for tensor in graph.initializer])
        for value in (*graph.input, *graph.output, *graph.value_info):
            if value.type.tensor_type.elem_type in codes:
                value.type.tensor_type.elem_type = FLOAT
        return model


def _rounded(node: onnx.NodeProto, low: Mapping[str, int], taken: set[str]) -> list[onnx.NodeProto]:
    """Let a node compute in FP32, in place; gives what rounds its results."""
    if node.op_type in MOVERS:
        return []
    roundings = []
    for position, name in enumerate(node.output):
        if name in low:
            node.output[position] = unused(f"{name}_exact", taken)
            roundings.extend(_rounding(node.output[position], name, low[name], taken))
    if roundings and node.op_type == "Cast":
        next(attribute for attribute in node.attribute if attribute.name == "to").i = FLOAT
    if roundings and node.op_type == "ConstantOfShape":
        node.attribute[0].t.CopyFrom(_widened(node.attribute[0].t))
    return roundings


def _quantised(node: onnx.NodeProto, code: int, graph: onnx.GraphProto, taken: set[str]) -> list[onnx.NodeProto]:
    """A QuantizeLinear to FP8, as a Div and a Cast."""
    scale = _scale(node, graph, taken)
    if not scale:
        return [node]
    scaled = unused(f"{node.name}_scaled", taken)
    return [
        onnx.helper.make_node("Div", [node.input[0], scale], [scaled], name=scaled),
        onnx.helper.make_node("Cast", [scaled], list(node.output), name=node.name, to=code),
    ]


def _dequantised(node: onnx.NodeProto, graph: onnx.GraphProto, taken: set[str]) -> list[onnx.NodeProto]:
    """A DequantizeLinear of FP8, as a Cast and a Mul."""
    scale = _scale(node, graph, taken)
    if not scale:
        return [node]
    wide = unused(f"{node.name}_wide", taken)
    return [
        onnx.helper.make_node("Cast", [node.input[0]], [wide], name=wide, to=FLOAT),
        onnx.helper.make_node("Mul", [wide, scale], list(node.output), name=node.name),
    ]


def _scale(node: onnx.NodeProto, graph: onnx.GraphProto, taken: set[str]) -> str:
    """The name of a new constant with the node's scale in FP32, in a shape to multiply with; "" if not known."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    scale = tensors.get(node.input[1])
    if scale is None or (scale.dims and node.input[0] not in tensors):
        return ""
    shape = [1] * len(tensors[node.input[0]].dims) if scale.dims else []
    if scale.dims:
        shape[next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)] = -1
    name = unused(f"{node.name}_scale", taken)
    values = numpy_helper.to_array(scale).astype(np.float32).reshape(shape)
    graph.initializer.append(numpy_helper.from_array(values, name))
    return name


def _rounding(source: str, target: str, code: int, taken: set[str]) -> list[onnx.NodeProto]:
    between = unused(f"{target}_rounded", taken)
    return [
        onnx.helper.make_node("Cast", [source], [between], name=between, to=code),
        onnx.helper.make_node("Cast", [between], [target], name=unused(f"{target}_widened", taken), to=FLOAT),
    ]


def _round_input(
    value: onnx.ValueInfoProto, code: int, graph: onnx.GraphProto, taken: set[str], nodes: list[onnx.NodeProto]
) -> None:
    rounded = unused(f"{value.name}_input", taken)
    for node in graph.node:
        for position, name in enumerate(node.input):
            if name == value.name:
                node.input[position] = rounded
    nodes.extend(_rounding(value.name, rounded, code, taken))


def _widened(tensor: onnx.TensorProto) -> onnx.TensorProto:
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name)


def _refuse_bodies(graph: onnx.GraphProto, low: Mapping[str, int]) -> None:
    for node in graph.node:
        inside = captured(node)
        if inside and not low.keys().isdisjoint({*inside, *node.input, *node.output}):
            raise Unsupported(
                "the graph inside this node handles 16-bit floats, which cannot be emulated",
                hint="convert from the model's FP32 version",
                place=Place(step="emulate", node=label(node)),
            )
