"""A classical model (trees, linear models, their scalers) as plain tensor operators, which TensorRT can build."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import onnx

from converters.errors import ConversionError, Place, Unsupported
from converters.graph.names import label
from converters.graph.opset import CLASSICAL
from converters.graph.subgraphs import graphs_of, subgraphs
from converters.lazy import Source, value_of
from converters.to_onnx.lowering.emitter import STEP, Emitter
from converters.to_onnx.lowering.inference import inferred_types, set_versions, upgraded
from converters.to_onnx.lowering.labels import note_labels
from converters.to_onnx.lowering.operators import LOWERINGS


@dataclass(frozen=True, slots=True)
class TensorOperatorsFromOnnx:
    """The same model without operators of `ai.onnx.ml`, giving ONNX Runtime's results within float32 rounding.

    Text labels come out as the class's index; `labels.class_labels` tells which label that is.

    Attributes:
        model: from scikit-learn, XGBoost or LightGBM, say. It is not changed.

    Raises:
        Unsupported: an operator is none that is written out, or works with text or float64.
        BadSource: the lists that describe a tree do not make one.
    """

    model: Source[onnx.ModelProto]

    def __call__(self) -> onnx.ModelProto:
        source = value_of(self.model)
        _refuse_nested(source)
        model = upgraded(source)
        _make_outputs_tensors(model)
        graph = model.graph
        labels: dict[str, tuple[str, ...]] = {}
        nodes, constants = _written_out(model, labels)
        nodes = _needed(nodes, {output.name for output in graph.output})
        read = {name for node in nodes for name in _reads(node)} | {output.name for output in graph.output}
        constants = [tensor for tensor in (*graph.initializer, *constants) if tensor.name in read]
        for field, entries in (("node", nodes), ("initializer", constants), ("value_info", [])):
            graph.ClearField(field)
            getattr(graph, field).extend(entries)
        set_versions(model, *((s.domain, s.version) for s in model.opset_import if s.domain != CLASSICAL))
        note_labels(model, labels)
        return model


def has_classical_operators(model: onnx.ModelProto) -> bool:
    """Whether a graph holds operators of `ai.onnx.ml`, which TensorRT does not know."""
    return any(node.domain == CLASSICAL for node in model.graph.node)


def _refuse_nested(model: onnx.ModelProto) -> None:
    """Refuses classical operators in the bodies of If, Loop and Scan."""
    for node in model.graph.node:
        inside = [inner.op_type for inner in _inner_nodes(node) if inner.domain == CLASSICAL]
        if inside:
            raise Unsupported(
                f"a graph inside of it holds {inside[0]}, which is written out in the outermost graph only",
                hint="leave this step out of the pipeline that is converted, or serve the model in ONNX Runtime",
                place=Place(step=STEP, node=label(node)),
            )


def _inner_nodes(node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    """The nodes of all graphs inside of a node, and of those inside of them."""
    for body in subgraphs(node):
        for graph in graphs_of(body):
            yield from graph.node


def _make_outputs_tensors(model: onnx.ModelProto) -> None:
    """Outputs that a ZipMap makes, lists of dictionaries, become tensors [batch, classes]."""
    for node in model.graph.node:
        if node.op_type == "ZipMap":
            classes = max(len(a.ints) + len(a.strings) for a in node.attribute)
            for output in model.graph.output:
                if output.name == node.output[0]:
                    output.CopyFrom(
                        onnx.helper.make_tensor_value_info(output.name, onnx.TensorProto.FLOAT, [None, classes])
                    )


def _written_out(
    model: onnx.ModelProto, labels: dict[str, tuple[str, ...]]
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """All nodes, those of the list replaced; and the constants that these brought. Fills `labels`."""
    types = inferred_types(model)
    before = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []
    for node, prefix in _prefixed(model.graph.node):
        emit = Emitter(node, prefix, types, before, labels)
        lowering = LOWERINGS.get((node.domain, node.op_type))
        try:
            if lowering is not None and lowering(emit) is not False:
                nodes.extend(emit.nodes)
                constants.extend(emit.constants)
            else:
                _check_stays(emit)
                nodes.append(node)
        except ConversionError as error:
            raise error.at(step=STEP, node=label(node)) from None
    return nodes, constants


def _prefixed(nodes: Iterable[onnx.NodeProto]) -> Iterator[tuple[onnx.NodeProto, str]]:
    """Each node with a name that no other has: its own, or its first output's."""
    taken: set[str] = set()
    for node in nodes:
        name = node.name if node.name and node.name not in taken else f"{node.name or node.op_type}/{node.output[0]}"
        taken.add(name)
        yield node, name


def _check_stays(emit: Emitter) -> None:
    """Refuses a node that TensorRT will not take and that nothing was emitted for."""
    node = emit.source
    if node.domain == CLASSICAL:
        emit.refuse(
            "no tensor operators are known that do the same",
            "leave this step out of the pipeline that is converted, or serve the model in ONNX Runtime",
        )
    carried = any(name in emit.labels for name in node.output)
    text = any(emit.element_types.get(name) == onnx.TensorProto.STRING for name in node.output)
    if (text or any(name in emit.labels for name in node.input)) and not carried:
        emit.refuse(
            "it works with text, which TensorRT does not know",
            "convert the model with labels encoded as numbers (scikit-learn: LabelEncoder)",
        )


def _needed(nodes: list[onnx.NodeProto], wanted: set[str]) -> list[onnx.NodeProto]:
    """The nodes that something wanted depends on, in their order."""
    needed, kept = set(wanted), []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(_reads(node))
    return kept[::-1]


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """What a node reads, and what the graphs inside it may read."""
    yield from node.input
    for inner in _inner_nodes(node):
        yield from inner.input
    for body in subgraphs(node):
        # A body may hand on a value from outside without reading it in a node.
        yield from (value.name for value in body.output)
