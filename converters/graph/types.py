"""The element types of a graph's tensors, as ONNX's codes."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from converters.graph.subgraphs import graphs_of

_NAMES_A_TYPE = frozenset({"to", "dtype", "output_dtype"})


def element_types(model: onnx.ModelProto) -> dict[str, int]:
    """The type of every tensor of the main graph that is known; shapes of the model are inferred."""
    graph = model.graph
    types = {
        value.name: int(value.type.tensor_type.elem_type)
        for value in (*graph.input, *graph.value_info, *graph.output)
        if value.type.HasField("tensor_type") and value.type.tensor_type.elem_type
    }
    return types | {tensor.name: int(tensor.data_type) for tensor in graph.initializer}


def types_in(model: onnx.ModelProto) -> frozenset[int]:
    """The ONNX element types of all that is known of a graph: inputs, outputs, weights, constants and casts."""
    return frozenset(code for graph in graphs_of(model.graph) for code in _types(graph)) - {onnx.TensorProto.UNDEFINED}


def _types(graph: onnx.GraphProto) -> Iterator[int]:
    yield from (weight.data_type for weight in graph.initializer)
    yield from (v.type.tensor_type.elem_type for v in (*graph.input, *graph.output, *graph.value_info))
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name in _NAMES_A_TYPE:
                yield attribute.i
            yield from (tensor.data_type for tensor in (attribute.t, *attribute.tensors))
