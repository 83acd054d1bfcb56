"""Which nodes lose the accuracy: the order in which a search should suspect them.

Both graphs are put into one, which runs them on the same input and compares the results of every node as it goes, so
that no more than two numbers a node leave it. A node is suspected for the error that it adds to that of its inputs,
not for what it was handed.

Its neighbours are suspected too, the less the farther they are. For it seldom helps to keep one node alone: a number
that is too large for FP16 is too large for those who read it as well, and a difference of two nearly equal numbers is
lost already where they are computed.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import onnx
from onnx import compose

from converters.arrays import Feeds
from converters.errors import BadData
from converters.graph.opset import opset_of
from converters.precision.choice import FLOAT, MOVERS
from converters.precision.emulated import EmulatedFromMixed
from converters.precision.graphs import element_types, prepared
from converters.precision.probe import Probe

_PREFIX = "low/"
_FADING = 0.25  # what is left of a suspicion one node farther on
_ENDLESS = 1e6  # stands for an infinite error, so that it fades too


@dataclass(frozen=True, slots=True)
class Loss:
    """What one node does to accuracy.

    Attributes:
        node: its name.
        error: mean absolute error of its worst output, relative to the mean absolute value; infinite if there is a NaN
            or an infinity that the original does not have.
        added: how much of that its inputs do not have.
    """

    node: str
    error: float
    added: float


def losses(original: onnx.ModelProto, result: onnx.ModelProto, batches: Iterable[Feeds]) -> tuple[Loss, ...]:
    """What each node loses that both graphs have under one name, the one that adds most error first.

    Args:
        original: in FP32.
        result: made from it, in mixed precision or with Q/DQ; 16-bit floats are emulated.
        batches: input for the original; a few are enough. The worst of them counts.

    Raises:
        BadData: there is no input, or the models do not run on it.
        Unsupported: ONNX Runtime does not take one of the models.
    """
    twin = _Twin.of(original, result)
    errors: dict[str, float] = {}
    ran = False
    with Probe(twin.model, twin.nodes, twin.outputs) as probe:
        for feeds in batches:
            ran = True
            numbers = [float(value.item()) for value in probe.run(feeds)]
            for tensor, difference, magnitude in zip(twin.tensors, numbers[::2], numbers[1::2], strict=True):
                errors[tensor] = max(errors.get(tensor, 0.0), _relative(difference, magnitude))
    if not ran:
        raise BadData("there is no data to compare layers on", hint="give at least one batch")
    found = [_loss(node, errors) for node in prepared(original).graph.node if not errors.keys().isdisjoint(node.output)]
    return tuple(sorted(found, key=lambda loss: -loss.added))


def suspects(original: onnx.ModelProto, found: Sequence[Loss]) -> tuple[str, ...]:
    """The nodes that could be kept in FP32, the most suspicious first: candidates for `bisect.nodes_to_keep`.

    Args:
        original: the FP32 model.
        found: its `losses`.
    """
    nodes = {node.name: node for node in prepared(original).graph.node}
    neighbours = _neighbours(nodes.values())
    suspicion: dict[str, float] = {}
    waiting = [(-min(loss.added, _ENDLESS), loss.node) for loss in found if loss.added]
    heapq.heapify(waiting)
    while waiting:
        negative, name = heapq.heappop(waiting)
        if name in suspicion:
            continue
        suspicion[name] = -negative
        fading = 1.0 if nodes[name].op_type in MOVERS else _FADING
        for neighbour in neighbours[name] - suspicion.keys():
            heapq.heappush(waiting, (negative * fading, neighbour))
    named = [loss.node for loss in found if nodes[loss.node].op_type not in MOVERS]
    return tuple(sorted(named, key=lambda name: -suspicion.get(name, 0.0)))


def _neighbours(nodes: Iterable[onnx.NodeProto]) -> Mapping[str, set[str]]:
    """Names of the nodes that give a node its inputs, and of those that read its outputs."""
    found: dict[str, set[str]] = defaultdict(set)
    producers: dict[str, str] = {}
    for node in nodes:  # producers come before their readers
        for tensor in node.input:
            if tensor in producers:
                found[node.name].add(producers[tensor])
                found[producers[tensor]].add(node.name)
        producers.update(dict.fromkeys((name for name in node.output if name), node.name))
    return found


@dataclass(frozen=True, slots=True)
class _Twin:
    """Both graphs in one, and what compares them.

    Attributes:
        model: the original and, with a prefix before every name, the result.
        tensors: of the original, that are compared.
        nodes, outputs: to be appended; two outputs for each tensor: mean absolute error and mean absolute value.
    """

    model: onnx.ModelProto
    tensors: tuple[str, ...]
    nodes: tuple[onnx.NodeProto, ...]
    outputs: tuple[str, ...]

    @staticmethod
    def of(original: onnx.ModelProto, result: onnx.ModelProto) -> _Twin:
        opset = max(opset_of(original), opset_of(result))
        first = prepared(original, opset=opset)
        # Rounded values have the names that they have in the mixed model; nodes that round come after.
        mixed_nodes = {node.name: node for node in prepared(result, opset=opset).graph.node}
        second = prepared(EmulatedFromMixed(result)(), opset=opset)
        pairs = _pairs(first, second, mixed_nodes)
        second = compose.add_prefix(second, _PREFIX, rename_inputs=False)
        first.graph.node.extend(second.graph.node)
        first.graph.initializer.extend(second.graph.initializer)
        _import_all(first, second)
        nodes, outputs = [], []
        for index, (mine, other) in enumerate(pairs.items()):
            difference, magnitude = f"{_PREFIX}difference_{index}", f"{_PREFIX}magnitude_{index}"
            outputs += [difference, magnitude]
            nodes += _mean_absolute(mine, magnitude)
            nodes.append(onnx.helper.make_node("Sub", [mine, _PREFIX + other], [f"{difference}_each"]))
            nodes += _mean_absolute(f"{difference}_each", difference)
        return _Twin(first, tuple(pairs), tuple(nodes), tuple(outputs))


def _pairs(
    first: onnx.ModelProto, second: onnx.ModelProto, mixed_nodes: Mapping[str, onnx.NodeProto]
) -> dict[str, str]:
    """Names of FP32 tensors of the first graph, with those of the second that should be equal."""
    types, other_types = element_types(first), element_types(second)
    inputs = {value.name for value in first.graph.input}
    return {
        mine: other
        for node in first.graph.node
        if node.name in mixed_nodes
        for mine, other in zip(node.output, mixed_nodes[node.name].output, strict=False)
        if types.get(mine) == other_types.get(other) == FLOAT and other not in inputs
    }


def _mean_absolute(tensor: str, target: str) -> list[onnx.NodeProto]:
    return [
        onnx.helper.make_node("Abs", [tensor], [f"{target}_absolute"]),
        onnx.helper.make_node("ReduceMean", [f"{target}_absolute"], [target], keepdims=1),
    ]


def _import_all(model: onnx.ModelProto, other: onnx.ModelProto) -> None:
    known = {entry.domain for entry in model.opset_import}
    model.opset_import.extend(entry for entry in other.opset_import if entry.domain not in known)
    model.ir_version = max(model.ir_version, other.ir_version)


def _relative(difference: float, magnitude: float) -> float:
    if not math.isfinite(magnitude):
        return 0.0  # empty, or the original's own NaN
    if not math.isfinite(difference):
        return math.inf
    return difference / magnitude if magnitude else float(difference > 0)


def _loss(node: onnx.NodeProto, errors: Mapping[str, float]) -> Loss:
    error = max(errors.get(name, 0.0) for name in node.output)
    inherited = max((errors.get(name, 0.0) for name in node.input), default=0.0)
    return Loss(node.name, error, 0.0 if inherited == math.inf else max(error - inherited, 0.0))
