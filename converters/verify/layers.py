"""Where the loss begins: the tensors inside of two graphs of one model, compared node by node.

Both graphs are run with their inner tensors as outputs, some at a time. A tensor is known by its name, which
conversions keep; where the result quantises it, what its consumers see is compared: the tensor after its Q/DQ pair.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import onnx

from converters.arrays import Array, Feeds, datatype_of
from converters.data.base import Dataset
from converters.errors import ConversionError
from converters.verify.base import LayerDifference
from converters.verify.onnx_runner import OnnxRunner

MEMORY_BOUND = 256 * 2**20
_FIRST, _MOST = 16, 256  # tensors that are looked at together: before their sizes are known, and at most
_PASSING = frozenset({"Identity", "Cast", "QuantizeLinear", "DequantizeLinear", "Constant"})


def worst_layer(
    reference: onnx.ModelProto, result: onnx.ModelProto, data: Dataset, batches: int = 2
) -> LayerDifference | None:
    """The node where the loss begins; None if the graphs have no inner tensor in common, or cannot be looked into."""
    try:
        return next(iter(layer_differences(reference, result, data, batches)), None)
    except ConversionError:
        return None  # the gate has failed already: what cannot be explained must not hide that


def layer_differences(
    reference: onnx.ModelProto,
    result: onnx.ModelProto,
    data: Dataset,
    batches: int = 2,
    bound: int = MEMORY_BOUND,
) -> tuple[LayerDifference, ...]:
    """All nodes of the reference whose output the result has too, the most suspicious first.

    Errors travel: a node behind a bad one is as wrong as that one. So a node is suspicious by how much its error is
    larger than that of its inputs, and counts only as far as its consumers are wrong too: the mean of a layer
    normalisation, which is almost zero, is always wrong by much, and harms nobody.

    Args:
        reference: the original's graph.
        result: the graph that was made of it, with most of its tensors' names.
        data: input; a few batches are enough to find a place.
        batches: how many are looked at.
        bound: bytes of inner tensors that are looked at together, as far as one tensor alone is not larger.

    Raises:
        BadData, Unsupported, ...: one of the graphs cannot be run; as `OnnxRunner` says.
    """
    producers = {name: node for node in reference.graph.node for name in node.output if name}
    pairs = _pairs(producers, result)
    feeds = list(islice(data, batches))
    errors = _errors(_Exposed.of(reference), _Exposed.of(result), pairs, feeds, bound)
    suspicion = _suspicion(reference, errors)
    ordered = sorted(suspicion, key=lambda tensor: suspicion[tensor], reverse=True)
    return tuple(
        LayerDifference(producers[tensor].name or tensor, producers[tensor].op_type, tensor, errors[tensor])
        for tensor in ordered
    )


def _pairs(producers: Mapping[str, onnx.NodeProto], result: onnx.ModelProto) -> dict[str, str]:
    """For each tensor of the reference, the result's tensor to compare it with."""
    present = {name for node in result.graph.node for name in node.output}
    quantised: dict[str, str] = {}
    dequantised: dict[str, str] = {}
    for node in result.graph.node:
        if node.op_type == "QuantizeLinear":
            quantised[node.input[0]] = node.output[0]
        elif node.op_type == "DequantizeLinear":
            dequantised[node.input[0]] = node.output[0]
    return {
        name: dequantised.get(quantised.get(name, ""), name)
        for name, node in producers.items()
        if name in present and node.op_type not in _PASSING
    }


@dataclass(frozen=True, slots=True)
class _Exposed:
    """A serialized model to which outputs can be added, as serialized messages that follow one another are merged."""

    data: bytes
    outputs: frozenset[str]

    @classmethod
    def of(cls, model: onnx.ModelProto) -> _Exposed:
        return cls(model.SerializeToString(), frozenset(value.name for value in model.graph.output))

    def with_outputs(self, names: Iterable[str]) -> OnnxRunner:
        more = onnx.ModelProto()
        more.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in self.outputs)
        return OnnxRunner(onnx.ModelProto.FromString(self.data + more.SerializeToString()))


def _errors(
    reference: _Exposed, result: _Exposed, pairs: Mapping[str, str], feeds: Sequence[Feeds], bound: int
) -> dict[str, float]:
    """Each tensor's mean absolute error relative to its mean absolute value; infinite if the result has NaN there."""
    errors: dict[str, float] = {}
    waiting, step = list(pairs), _FIRST
    while waiting:
        names, waiting = waiting[:step], waiting[step:]
        part = {name: pairs[name] for name in names}
        looked_at, size = _look(reference.with_outputs(part), result.with_outputs(set(part.values())), part, feeds)
        errors.update(looked_at)
        step = min(max(bound * len(names) // max(size, 1), 1), _MOST)
    return errors


def _look(
    reference: OnnxRunner, result: OnnxRunner, pairs: Mapping[str, str], feeds: Sequence[Feeds]
) -> tuple[dict[str, float], int]:
    """The errors of some tensors, and the bytes that they take in both graphs."""
    sums = {name: np.zeros(2) for name in pairs}
    size = 0
    # What is no tensor, such as a sequence, cannot be compared.
    kinds = {tensor.name for runner in (reference, result) for tensor in runner.outputs if not tensor.datatype}
    comparable = {name: other for name, other in pairs.items() if not kinds & {name, other}}
    for batch in feeds:
        expected, actual = reference.run(batch, list(comparable)), result.run(batch, list(comparable.values()))
        size = max(size, sum(array.nbytes for array in (*expected.values(), *actual.values())))
        for name, other in comparable.items():
            sums[name] += _distance(expected[name], actual[other])
    reference.close()
    result.close()
    return {name: _ratio(*sums[name]) for name in comparable if not np.isnan(sums[name]).any()}, size


def _distance(expected: Array, actual: Array) -> Array:
    """Summed absolute error, and summed absolute value; NaN for what cannot be compared."""
    if expected.shape != actual.shape or "BYTES" in {datatype_of(expected), datatype_of(actual)}:
        return np.full(2, np.nan)
    first, second = expected.astype(np.float64), actual.astype(np.float64)
    usable = np.isfinite(first)
    first, second = first[usable], second[usable]
    if not np.isfinite(second).all():
        return np.array([np.inf, np.abs(first).sum()])
    return np.array([np.abs(first - second).sum(), np.abs(first).sum()])


def _ratio(error: float, value: float) -> float:
    if value == 0:
        return 0.0 if error == 0 else math.inf
    return float(error / value)


def _suspicion(reference: onnx.ModelProto, errors: Mapping[str, float]) -> dict[str, float]:
    """How much of its error each compared tensor adds and hands on."""
    behind: dict[str, float] = {}  # the largest error that reaches a tensor, itself included
    ahead: dict[str, float] = {}  # the largest error among what is made of a tensor
    outputs = {value.name for value in reference.graph.output}
    arriving: dict[str, float] = {}
    for node in reference.graph.node:
        before = max((behind.get(name, 0.0) for name in node.input), default=0.0)
        for name in node.output:
            arriving[name] = before
            behind[name] = errors.get(name, before)
    for node in reversed(reference.graph.node):
        for name in node.input:
            after = max((errors.get(made, ahead.get(made, 0.0)) for made in node.output), default=0.0)
            ahead[name] = max(ahead.get(name, 0.0), after)
    return {
        name: _added(errors[name] if name in outputs else min(errors[name], ahead.get(name, 0.0)), arriving[name])
        for name in _compared(reference, errors)
    }


def _compared(reference: onnx.ModelProto, errors: Mapping[str, float]) -> Iterator[str]:
    return (name for node in reference.graph.node for name in node.output if name in errors)


def _added(error: float, before: float) -> float:
    # Behind the first infinite error, everything may be infinite: nothing is added there.
    return 0.0 if math.isinf(before) else error - before
