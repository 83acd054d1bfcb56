"""Nodes' names: every node has one, and no two have the same, so that errors and lists of kept nodes can name it."""

from __future__ import annotations

import onnx

from converters.graph.subgraphs import graphs_of


def name_nodes(model: onnx.ModelProto) -> None:
    """Give each node of the model, those in subgraphs included, a name of its own; good names stay.

    A node without a name gets its operator and a number, one whose name is taken gets a number behind it. The same
    graph always gives the same names.
    """
    nodes = [node for graph in graphs_of(model.graph) for node in graph.node]
    given = {node.name for node in nodes}
    taken: set[str] = set()
    counts: dict[str, int] = {}
    for node in nodes:
        if not node.name or node.name in taken:
            node.name = _free(node.name or node.op_type, given, counts)
            given.add(node.name)
        taken.add(node.name)


def label(node: onnx.NodeProto) -> str:
    """A node as errors and reports name it: `name (Operator)`; one without a name is known by its first output."""
    output = next((f"'{name}'" for name in node.output), "(no name)")
    return f"{node.name or output} ({node.op_type})"


def _free(stem: str, given: set[str], counts: dict[str, int]) -> str:
    number = counts.get(stem, 0)
    while (name := f"{stem}_{number}") in given:
        number += 1
    counts[stem] = number + 1
    return name
