"""Two graphs of one model in one, with what compares them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import onnx
from onnx import TensorProto, compose

from converters.graph.opset import opset_of
from converters.graph.types import element_types
from converters.precision.choice import MOVERS
from converters.precision.emulated import EmulatedFromMixed
from converters.precision.graphs import prepared

_PREFIX = "low/"
_FLOATS = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE})


@dataclass(frozen=True, slots=True)
class Twin:
    """Both graphs on the same inputs; where they compute the same node, its results are compared.

    Attributes:
        model: the original and, with a prefix before every name, the result.
        tensors: of the original, that are compared.
        nodes, outputs: to be appended; two outputs for each tensor: summed absolute error and summed absolute value.
    """

    model: onnx.ModelProto
    tensors: tuple[str, ...]
    nodes: tuple[onnx.NodeProto, ...]
    outputs: tuple[str, ...]

    @staticmethod
    def of(original: onnx.ModelProto, result: onnx.ModelProto) -> Twin:
        """Put them together; 16-bit floats and FP8 of the result are emulated.

        Raises:
            Unsupported: one of the graphs contradicts itself, or cannot be emulated.
        """
        opset = max(opset_of(original), opset_of(result))
        first = prepared(original, opset=opset)
        # Rounded values have the names that they have in the mixed model; nodes that round come after.
        mixed = prepared(result, opset=opset)
        second = prepared(EmulatedFromMixed(result)(), opset=opset)
        pairs = dict(_pairs(first, second, mixed))
        second = compose.add_prefix(second, _PREFIX, rename_inputs=False)
        first.graph.node.extend(second.graph.node)
        first.graph.initializer.extend(second.graph.initializer)
        _import_all(first, second)
        nodes: list[onnx.NodeProto] = []
        outputs = []
        for index, (mine, other) in enumerate(pairs.items()):
            difference, magnitude = f"{_PREFIX}difference_{index}", f"{_PREFIX}magnitude_{index}"
            outputs += [difference, magnitude]
            # ONNX Runtime begins with what comes last. The first tensors shall be compared first, so that their memory
            # is free when the last ones are computed.
            nodes = [*_comparison(mine, _PREFIX + other, difference, magnitude), *nodes]
        return Twin(first, tuple(pairs), tuple(nodes), tuple(outputs))


def _pairs(first: onnx.ModelProto, second: onnx.ModelProto, mixed: onnx.ModelProto) -> Iterator[tuple[str, str]]:
    """Names of floating-point tensors of the first graph, with those of the second that should be equal."""
    mixed_nodes = {node.name: node for node in mixed.graph.node}
    seen = _seen_by_readers(mixed)
    types, other_types = element_types(first), element_types(second)
    shapes, other_shapes = _shapes(first), _shapes(second)
    inputs = {value.name for value in first.graph.input}
    for node in first.graph.node:
        if node.name not in mixed_nodes or node.op_type in MOVERS:
            continue
        for mine, given in zip(node.output, mixed_nodes[node.name].output, strict=False):
            other = seen.get(given, given)
            floats = {types.get(mine), other_types.get(other)} <= _FLOATS
            if floats and other not in inputs and _may_be_equal(shapes.get(mine), other_shapes.get(other)):
                yield mine, other


def _seen_by_readers(model: onnx.ModelProto) -> dict[str, str]:
    """For each tensor that is quantised, what it is after it was dequantised."""
    # In a graph with FP16, a Cast may stand between.
    cast = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "Cast"}
    quantised = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    return {
        cast.get(quantised[node.input[0]], quantised[node.input[0]]): node.output[0]
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in quantised
    }


def _shapes(model: onnx.ModelProto) -> Mapping[str, tuple[int, ...]]:
    """The shapes that are known, with 0 for dimensions that are not."""
    return {
        value.name: tuple(dimension.dim_value for dimension in value.type.tensor_type.shape.dim)
        for value in (*model.graph.value_info, *model.graph.output)
        if value.type.tensor_type.HasField("shape")
    }


def _may_be_equal(one: tuple[int, ...] | None, other: tuple[int, ...] | None) -> bool:
    if one is None or other is None:
        return True
    return len(one) == len(other) and all(a == b or not (a and b) for a, b in zip(one, other, strict=True))


def _comparison(mine: str, other: str, difference: str, magnitude: str) -> list[onnx.NodeProto]:
    make = onnx.helper.make_node
    names = [f"{magnitude}_value", f"{difference}_value", f"{difference}_each"]
    return [
        make("Cast", [mine], [names[0]], to=TensorProto.FLOAT),
        make("Cast", [other], [names[1]], to=TensorProto.FLOAT),
        make("Sub", names[:2], [names[2]]),
        make("ReduceL1", [names[2]], [difference], keepdims=1),
        make("ReduceL1", [names[0]], [magnitude], keepdims=1),
    ]


def _import_all(model: onnx.ModelProto, other: onnx.ModelProto) -> None:
    known = {entry.domain for entry in model.opset_import}
    model.opset_import.extend(entry for entry in other.opset_import if entry.domain not in known)
    model.ir_version = max(model.ir_version, other.ir_version)
