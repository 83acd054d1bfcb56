"""Where the loss begins: two graphs of one model compared node by node, for a report and for a search.

Both graphs are put into one, which runs them on the same input and compares the results of every node as it goes: no
more than two numbers a node leave it. A node is known by its name, which conversions keep; where the result quantises
what it gives, that is compared as its readers see it: after the Q/DQ pair.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import onnx

from converters.arrays import Feeds
from converters.errors import BadData, ConversionError
from converters.precision.choice import MOVERS
from converters.precision.graphs import prepared
from converters.precision.probe import Probe
from converters.verify.base import LayerDifference
from converters.verify.twin import Twin

_FADING = 0.25  # what is left of a suspicion one node farther on
_ENDLESS = 1e6  # stands for an infinite error, so that it fades too


def worst_layer(original: onnx.ModelProto, result: onnx.ModelProto, batches: Iterable[Feeds]) -> LayerDifference | None:
    """The node where the loss begins; None if the graphs have no node in common, or cannot be looked into."""
    try:
        return next(iter(layer_differences(original, result, batches)), None)
    except ConversionError:
        return None  # the gate has failed already: what cannot be explained must not hide that


def layer_differences(
    original: onnx.ModelProto, result: onnx.ModelProto, batches: Iterable[Feeds]
) -> tuple[LayerDifference, ...]:
    """What each node loses that both graphs have under one name, the one that adds most error first.

    Errors travel: a node behind a bad one is as wrong as that one. So a node is suspected for the error that it adds to
    that of its inputs, and that counts only as far as its readers are wrong too: the mean of a layer normalisation,
    which is almost zero, is always wrong by much, and harms nobody. Nodes that only move numbers are looked through.

    Args:
        original: in FP32.
        result: made from it, in mixed precision or with Q/DQ; 16-bit floats are emulated.
        batches: input for the original; a few are enough to find a place.

    Raises:
        BadData: there is no input, or the models do not run on it.
        Unsupported: ONNX Runtime does not take one of the models.
    """
    errors = _errors(Twin.of(original, result), batches)
    nodes = prepared(original).graph.node
    arriving, leaving = _arriving(nodes, errors), _leaving(original, nodes, errors)
    found = []
    for node in nodes:
        compared = [name for name in node.output if name in errors]
        if compared:
            worst = max(compared, key=errors.__getitem__)
            # Behind the first infinite error, everything may be infinite: nothing is added there.
            before = arriving[node.name]
            added = 0.0 if before == math.inf else max(max(leaving[name] for name in compared) - before, 0.0)
            found.append(LayerDifference(node.name, node.op_type, worst, errors[worst], added))
    return tuple(sorted(found, key=lambda layer: -layer.added))


def suspects(original: onnx.ModelProto, layers: Sequence[LayerDifference]) -> tuple[str, ...]:
    """The nodes that could be kept in FP32, the most suspicious first: candidates for `bisect.nodes_to_keep`.

    Neighbours of a node that loses accuracy are suspected too, the less the farther they are. For it seldom helps to
    keep one node alone: a number that is too large for FP16 is too large for those who read it as well, a difference of
    two nearly equal numbers is lost already where they are computed, and what is quantised is so for its reader's sake.

    Args:
        original: the FP32 model.
        layers: its `layer_differences`.
    """
    nodes = {node.name: node for node in prepared(original).graph.node}
    neighbours = _neighbours(nodes.values())
    suspicion: dict[str, float] = {}
    waiting = [(-min(layer.added, _ENDLESS), layer.node) for layer in layers if layer.added]
    heapq.heapify(waiting)
    while waiting:
        negative, name = heapq.heappop(waiting)
        if name in suspicion:
            continue
        suspicion[name] = -negative
        fading = 1.0 if nodes[name].op_type in MOVERS else _FADING
        for neighbour in neighbours[name] - suspicion.keys():
            heapq.heappush(waiting, (negative * fading, neighbour))
    return tuple(sorted((layer.node for layer in layers), key=lambda name: -suspicion.get(name, 0.0)))


def _errors(twin: Twin, batches: Iterable[Feeds]) -> dict[str, float]:
    """Each compared tensor's summed absolute error relative to its summed absolute value.

    Infinite if the result has a NaN or an infinity that the original does not have; tensors of which the original has
    one itself, as in an attention's mask, are left out.
    """
    if not twin.tensors:
        return {}
    sums = [0.0] * len(twin.outputs)
    ran = False
    with Probe(twin.model, twin.nodes, twin.outputs) as probe:
        for feeds in batches:
            ran = True
            sums = [total + float(value.item()) for total, value in zip(sums, probe.run(feeds), strict=True)]
    if not ran:
        raise BadData("there is no data to compare layers on", hint="give at least one batch")
    return {
        tensor: _relative(difference, magnitude)
        for tensor, difference, magnitude in zip(twin.tensors, sums[::2], sums[1::2], strict=True)
        if math.isfinite(magnitude)
    }


def _relative(difference: float, magnitude: float) -> float:
    if not math.isfinite(difference):
        return math.inf
    if magnitude == 0:
        return math.inf if difference else 0.0
    return difference / magnitude


def _arriving(nodes: Iterable[onnx.NodeProto], errors: Mapping[str, float]) -> dict[str, float]:
    """For each node, the largest error among its inputs; what is not compared has that of its own inputs."""
    behind: dict[str, float] = {}
    arriving = {}
    for node in nodes:
        arriving[node.name] = max((behind.get(name, 0.0) for name in node.input), default=0.0)
        behind.update((name, errors.get(name, arriving[node.name])) for name in node.output)
    return arriving


def _leaving(
    original: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], errors: Mapping[str, float]
) -> dict[str, float]:
    """For each compared tensor, its error as far as what is made of it is wrong too."""
    ahead: dict[str, float] = {value.name: math.inf for value in original.graph.output}
    for node in reversed(nodes):
        after = max((errors.get(name, ahead.get(name, 0.0)) for name in node.output), default=0.0)
        for name in node.input:
            ahead[name] = max(ahead.get(name, 0.0), after)
    return {name: min(error, ahead.get(name, 0.0)) for name, error in errors.items()}


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
