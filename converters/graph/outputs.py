"""What a graph's outputs are called."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from converters.errors import ConfigError
from converters.graph.subgraphs import graphs_of


def rename_outputs(model: onnx.ModelProto, names: Mapping[str, str]) -> None:
    """Give outputs other names, wherever the graph mentions them; outputs that are not named keep theirs.

    A value inside of the graph that has such a name already gets another one.

    Raises:
        ConfigError: a name is that of an input.
    """
    outputs = {value.name for value in model.graph.output}
    changes = {old: new for old, new in names.items() if old in outputs and old != new}
    fixed = {value.name for value in model.graph.input}
    for new in changes.values():
        if new in fixed:
            raise ConfigError(f"an output cannot be called '{new}', as an input is", hint="give it another name")
    inner = set(changes.values()) - changes.keys()
    changes |= {name: f"{name}/inner" for name in inner}
    for value in model.graph.output:
        value.name = changes.get(value.name, value.name)
    for graph in graphs_of(model.graph):
        _rename(graph, changes)


def _rename(graph: onnx.GraphProto, changes: Mapping[str, str]) -> None:
    for node in graph.node:
        for tensors in (node.input, node.output):
            for position, name in enumerate(tensors):
                tensors[position] = changes.get(name, name)
    for value in (*graph.initializer, *graph.value_info):
        value.name = changes.get(value.name, value.name)
