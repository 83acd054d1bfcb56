"""What the conversions between precisions need to know of, and do to, any graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from converters.arrays import Array
from converters.errors import ConfigError, Place, Unsupported, first_line
from converters.graph.names import name_nodes
from converters.graph.opset import opset_of, with_opset
from converters.graph.shapes import inferred, is_large
from converters.graph.subgraphs import subgraphs
from converters.nearest import nearest


def prepared(model: onnx.ModelProto, *, opset: int = 1) -> onnx.ModelProto:
    """A copy with shapes inferred in which every node has a name of its own and constants are initializers.

    Args:
        model: any; it is not changed.
        opset: the least operator set; a model of an older one is rewritten for it.

    Raises:
        Unsupported: the graph contradicts itself, or cannot be rewritten for the operator set.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    name_nodes(copy)  # before anything else, so that the names are those of the model given
    if opset_of(copy) < opset:
        copy = with_opset(copy, opset)
        name_nodes(copy)
    _constants_to_initializers(copy.graph)
    weights = {tensor.name for tensor in copy.graph.initializer}
    # Old exporters list weights as inputs too, which lets a caller replace them: nobody does.
    replace(copy.graph.input, [value for value in copy.graph.input if value.name not in weights])
    return inferred(copy)


def captured(node: onnx.NodeProto) -> set[str]:
    """All names that are read inside the bodies of a node, at any depth, its own and those of the outer graph."""
    names: set[str] = set()
    for graph in subgraphs(node):
        names.update(value.name for value in graph.output)
        for inner in graph.node:
            names.update(inner.input)
            names |= captured(inner)
    return names


def value_names(graph: onnx.GraphProto) -> set[str]:
    """Every name that a value has in a graph and in the bodies of its nodes."""
    names = {value.name for value in (*graph.input, *graph.output, *graph.value_info)}
    names.update(tensor.name for tensor in graph.initializer)
    for node in graph.node:
        names.update(node.input)
        names.update(node.output)
        for body in subgraphs(node):
            names |= value_names(body)
    return names


def unused(name: str, taken: set[str]) -> str:
    """The name, or with a number after it if it is taken; it is taken from now on."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    taken.add(found)
    return found


def check_names(names: frozenset[str], graph: onnx.GraphProto, *, step: str) -> None:
    """Make sure that each name is that of a node.

    Raises:
        ConfigError: one is not; says which, and which node may have been meant.
    """
    nodes = [node.name for node in graph.node]
    for name in sorted(names.difference(nodes)):
        raise ConfigError(
            f"there is no node '{name}' to keep in FP32",
            hint=nearest(name, nodes, "name nodes as the ONNX file does"),
            place=Place(step=step),
        )


def checked(model: onnx.ModelProto, *, step: str) -> onnx.ModelProto:
    """A copy with shapes inferred, and of an IR version that knows its operator set, that passes ONNX's checker.

    Raises:
        Unsupported: it does not.
    """
    model.ir_version = max(model.ir_version, onnx.helper.find_min_ir_version_for(list(model.opset_import)))
    result = inferred(model)
    try:
        if not is_large(result):  # the checker takes one protocol buffer, or a file
            onnx.checker.check_model(result, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise Unsupported(
            f"the converted graph is not valid ({first_line(error)})",
            hint="see whether the FP32 model itself passes `onnx.checker.check_model(model, full_check=True)`",
            place=Place(step=step),
        ) from error
    return result


def is_depthwise(node: onnx.NodeProto, weight: Sequence[int]) -> bool:
    """Whether a node with weights of this shape is a convolution of each channel by itself."""
    groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
    return groups > 1 and weight[1] == 1


def drop_unused_weights(graph: onnx.GraphProto) -> None:
    """Leave out, in place, the initializers that nothing reads."""
    used = {value.name for value in graph.output}
    for node in graph.node:
        used.update(node.input)
        used |= captured(node)
    replace(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in used])


def replace(field: Any, items: Sequence[Any]) -> None:
    """Let a repeated field of a protobuf message hold these items, which may be its own, and nothing else."""
    kept = [type(item)() for item in items]
    for copy, item in zip(kept, items, strict=True):
        copy.CopyFrom(item)
    del field[:]
    field.extend(kept)


def _constants_to_initializers(graph: onnx.GraphProto) -> None:
    nodes = []
    for node in graph.node:
        value = _constant(node)
        if value is None:
            nodes.append(node)
        else:
            tensor = graph.initializer.add()
            tensor.CopyFrom(value)
            tensor.name = node.output[0]
    replace(graph.node, nodes)


def _constant(node: onnx.NodeProto) -> onnx.TensorProto | None:
    if node.op_type != "Constant" or node.domain not in {"", "ai.onnx"}:
        return None
    attribute = node.attribute[0]
    if attribute.name == "value":
        return attribute.t
    plain: dict[str, Array] = {
        "value_float": np.array(attribute.f, np.float32),
        "value_floats": np.array(attribute.floats, np.float32),
        "value_int": np.array(attribute.i, np.int64),
        "value_ints": np.array(attribute.ints, np.int64),
    }
    return numpy_helper.from_array(plain[attribute.name]) if attribute.name in plain else None
