"""Mixed precision: a graph in FP32 becomes one in which each node computes in FP32 or in a type of 16 bits.

How values are named makes the rewriting simple: the name that a value has in the original always is the FP32 value,
and the value in the low type has a name of its own. Whoever reads a value says in which type; if nobody made it in
that type before, a Cast is put there, once, and a constant gets a second copy. Bodies of If, Loop and Scan read FP32
by the names that they know. What nobody reads any more is left out at the end. Only if inputs and outputs change
their type, the names of these are swapped, so that the model's own names stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import numpy_helper

from converters.errors import Place, Unsupported
from converters.graph.names import label
from converters.graph.subgraphs import graphs_of, subgraphs
from converters.graph.types import element_types
from converters.precision.choice import FLOAT, Choice, choices
from converters.precision.graphs import (
    captured,
    check_names,
    checked,
    drop_unused_weights,
    prepared,
    replace,
    unused,
    value_names,
)
from converters.precision.low import LowFloat


@dataclass(frozen=True, slots=True)
class Mixed:
    """A model in mixed precision.

    Attributes:
        model: strongly typed, checked, with types and shapes inferred.
        low: names of the nodes that compute in the low type, in the graph's order; those that only move numbers too.
        kept: why each other node that handles FP32 stays, by name.
    """

    model: onnx.ModelProto = field(repr=False)
    low: tuple[str, ...]
    kept: Mapping[str, str]


def mixed(model: onnx.ModelProto, low: LowFloat, *, keep_io: bool, keep: Set[str] = frozenset()) -> Mixed:
    """Lower every node that can be lowered without certain loss.

    Args:
        model: in FP32; it is not changed.
        low: the type to lower to.
        keep_io: the model's inputs and outputs keep their types.
        keep: names of nodes that stay in FP32.

    Raises:
        ConfigError: `keep` names a node that is not there.
        Unsupported: the graph contradicts itself, cannot be rewritten for the operator set that the type needs, or has
            nothing that could be lowered.
    """
    ready = prepared(model, opset=low.opset)
    check_names(frozenset(keep), ready.graph, step=low.name)
    types = element_types(ready)
    chosen = choices(ready, types, low, keep=keep, low_inputs=not keep_io)
    if not any(choice.low for choice in chosen) and not keep:
        raise _nothing_gained(ready, low)
    result = _Rewriting(ready, types, low, keep_io=keep_io).done(chosen)
    nodes = [node.name for node in ready.graph.node]
    kept = {name: choice.reason for name, choice in zip(nodes, chosen, strict=True) if choice.reason}
    lowered = tuple(name for name, choice in zip(nodes, chosen, strict=True) if choice.low)
    return Mixed(checked(result, step=low.name), lowered, kept)


def _nothing_gained(model: onnx.ModelProto, low: LowFloat) -> Unsupported:
    hint = "use fp32 for this model"
    bodies = [node for node in model.graph.node if next(subgraphs(node), None) is not None]
    if bodies:
        hint = f"nodes inside {label(bodies[0])} stay in FP32: export the model without control flow, or {hint}"
    what = f"no node of this model can compute in {low.name.upper()}"
    return Unsupported(what, hint=hint, place=Place(step=low.name))


class _Rewriting:
    """The new graph, node by node. Made for one model, used once."""

    def __init__(self, model: onnx.ModelProto, types: Mapping[str, int], low: LowFloat, *, keep_io: bool) -> None:
        self._model = onnx.ModelProto()
        self._model.CopyFrom(model)
        self._types = types
        self._low = low
        self._nodes: list[onnx.NodeProto] = []
        self._weights = {tensor.name: tensor for tensor in model.graph.initializer}
        self._taken = value_names(model.graph)
        self._node_names = {node.name for graph in graphs_of(model.graph) for node in graph.node}
        changed = () if keep_io else (*model.graph.input, *model.graph.output)
        self._changed = {
            value.name for value in changed if types.get(value.name) == FLOAT and value.name not in self._weights
        }
        self._names: dict[tuple[str, bool], str] = {}
        self._made: set[tuple[str, bool]] = {(name, False) for name in self._weights}
        self._made.update((value.name, value.name in self._changed) for value in model.graph.input)

    def done(self, chosen: list[Choice]) -> onnx.ModelProto:
        """The whole new model."""
        graph = self._model.graph
        for node, choice in zip(graph.node, chosen, strict=True):
            self._add(node, choice)
        for value in graph.output:
            if self._types.get(value.name) == FLOAT:  # integers, such as labels, are what they are
                self._read(value.name, low=value.name in self._changed)
        replace(graph.node, self._nodes)
        for value in (*graph.input, *graph.output):
            if value.name in self._changed:
                value.type.tensor_type.elem_type = self._low.code
        # Types of values in between follow from these; the shapes that were known do too.
        replace(graph.value_info, self._value_infos())
        drop_unused_weights(graph)
        return self._model

    def _add(self, node: onnx.NodeProto, choice: Choice) -> None:
        for name in captured(node):
            if (name, True) in self._made:
                self._read(name, low=False)
        self._rename_captured(node)
        for position, name in enumerate(node.input):
            if self._types.get(name) == FLOAT:
                node.input[position] = self._read(name, low=position in choice.inputs)
        for position, name in enumerate(node.output):
            if self._types.get(name) == FLOAT:
                node.output[position] = self._name(name, low=position in choice.outputs)
                self._made.add((name, position in choice.outputs))
        if choice.outputs:
            self._retype(node)
        self._nodes.append(node)

    def _retype(self, node: onnx.NodeProto) -> None:
        """Change what says in an attribute of which type an output is."""
        if node.op_type == "Cast":
            next(attribute for attribute in node.attribute if attribute.name == "to").i = self._low.code
        elif node.op_type == "ConstantOfShape":
            value = numpy_helper.to_array(node.attribute[0].t) if node.attribute else np.zeros(1, np.float32)
            del node.attribute[:]
            tensor = numpy_helper.from_array(self._low.rounded(value))
            node.attribute.append(onnx.helper.make_attribute("value", tensor))

    def _read(self, name: str, *, low: bool) -> str:
        """The name of a value in FP32 or in the low type; whatever makes it so is added if nothing did before."""
        wanted = self._name(name, low=low)
        if (name, low) in self._made:
            return wanted
        self._made.add((name, low))
        if name in self._weights:
            rounded = self._low.rounded(numpy_helper.to_array(self._weights[name]))
            self._model.graph.initializer.append(numpy_helper.from_array(rounded, wanted))
        else:
            to = self._low.code if low else FLOAT
            label = unused(f"{wanted}/Cast", self._node_names)
            source = self._name(name, low=not low)
            self._nodes.append(onnx.helper.make_node("Cast", [source], [wanted], name=label, to=to))
        return wanted

    def _name(self, name: str, *, low: bool) -> str:
        key = (name, low)
        if key not in self._names:
            own = low == (name in self._changed)
            suffix = self._low.name if low else "fp32"
            self._names[key] = name if own else unused(f"{name}_{suffix}", self._taken)
        return self._names[key]

    def _rename_captured(self, node: onnx.NodeProto) -> None:
        """Let the bodies of a node read inputs and outputs that changed their type by their names in FP32."""
        for body in subgraphs(node):
            for inner in body.node:
                self._rename_captured(inner)
                for position, name in enumerate(inner.input):
                    if name in self._changed:
                        inner.input[position] = self._name(name, low=False)
            for value in body.output:
                if value.name in self._changed:
                    value.name = self._name(value.name, low=False)

    def _value_infos(self) -> list[onnx.ValueInfoProto]:
        infos = []
        for value in self._model.graph.value_info:
            if self._types.get(value.name) != FLOAT:
                infos.append(value)
                continue
            for low in (False, True):
                if (value.name, low) in self._made:
                    info = onnx.ValueInfoProto()
                    info.CopyFrom(value)
                    info.name = self._name(value.name, low=low)
                    info.type.tensor_type.elem_type = self._low.code if low else FLOAT
                    infos.append(info)
        return infos
