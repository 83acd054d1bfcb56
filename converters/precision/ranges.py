"""The ranges of tensors inside a model over calibration data, found with bounded memory.

Two passes. The first lets ONNX Runtime reduce every tensor to its extremes, so that only a few numbers a tensor leave
the model. The second, for "entropy" and "percentile", fills a histogram of absolute values for each tensor: since the
extremes are known by then, bins never move. It fetches whole tensors, as many at a time as fit into `FETCHED_BYTES`,
and goes through the data once for each such group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from converters.arrays import Array
from converters.data.base import Dataset
from converters.data.checked import CheckedDataset
from converters.errors import BadData, Place
from converters.graph.names import label
from converters.graph.signature import signature_of
from converters.precision.base import Calibration
from converters.precision.probe import Probe
from converters.precision.threshold import BINS, entropy_threshold, percentile_threshold

FETCHED_BYTES = 256 << 20
"""Tensors of one batch that are held at the same time; a larger one is fetched alone."""

_PREFIX = "triton_convert_ranges"  # of the names of what is added to a model


def ranges(
    model: onnx.ModelProto,
    data: Dataset,
    calibration: Calibration,
    tensors: Sequence[str],
    *,
    fetched_bytes: int = FETCHED_BYTES,
) -> Mapping[str, tuple[float, float]]:
    """The lowest and the highest value of each tensor that calibration finds worth representing.

    "entropy" and "percentile" choose one threshold for absolute values, and cut off what lies beyond on either side.

    Args:
        model: any model that ONNX Runtime runs; it is not changed.
        data: what to run.
        calibration: the method.
        tensors: names of inputs, or of nodes' outputs in the main graph, of any number type.
        fetched_bytes: tensors of one batch that are held at the same time.

    Returns:
        (low, high) by name, both finite, in the tensors' own unit; (0, 0) for a tensor that never has elements.

    Raises:
        BadData: the data doesn't fit the model's inputs, or drives a tensor to NaN or infinity; names the node.
        Unsupported: ONNX Runtime doesn't take the model, or a tensor isn't there.
        OutOfResources: no memory or disk is left.
    """
    names = tuple(dict.fromkeys(tensors))
    if not names:
        return {}
    checked = CheckedDataset(data, signature_of(model))
    extremes = _extremes(model, checked, names)
    if calibration.method == "minmax":
        return {name: (found.low, found.high) for name, found in extremes.items()}
    result = {}
    for group in _groups(extremes, fetched_bytes):
        for name, histogram in _histograms(model, checked, group).items():
            found = extremes[name]
            limit = _threshold(histogram, found.largest, calibration)
            result[name] = (max(found.low, -limit), min(found.high, limit))
    return {name: result[name] for name in names}


@dataclass(slots=True)
class _Extremes:
    """What the first pass learns of one tensor; `elements` are those of its largest batch."""

    low: float = 0.0
    high: float = 0.0
    elements: int = 0

    @property
    def largest(self) -> float:
        return max(abs(self.low), abs(self.high))

    def widen(self, low: float, high: float, elements: int) -> None:
        self.low = min(self.low, low) if self.elements else low
        self.high = max(self.high, high) if self.elements else high
        self.elements = max(self.elements, elements)


def _extremes(model: onnx.ModelProto, data: Dataset, names: Sequence[str]) -> dict[str, _Extremes]:
    result = {name: _Extremes() for name in names}
    nodes = [node for index, name in enumerate(names) for node in _reductions(name, index)]
    outputs = [f"{_PREFIX}_{what}_{index}" for index in range(len(names)) for what in ("low", "high", "rest", "size")]
    with Probe(model, nodes, outputs) as probe:
        for batch, feeds in enumerate(data):
            numbers = iter(probe.run(feeds))
            for name in names:
                low, high, rest, size = (next(numbers).item() for _ in range(4))
                if size and rest != 0:
                    raise BadData(
                        f"tensor '{name}' becomes NaN or infinite for batch {batch} of {data.origin}",
                        hint="look at that batch, or keep this node as it is",
                        place=_place(model, name),
                    )
                if size:
                    result[name].widen(low, high, size)
    return result


def _reductions(name: str, index: int) -> list[onnx.NodeProto]:
    def named(what: str) -> str:
        return f"{_PREFIX}_{what}_{index}"

    make = onnx.helper.make_node
    # x - x is 0 for a finite x and NaN for all others; ONNX Runtime's reductions to extremes skip NaN.
    # Without keepdims they fail on a tensor without elements.
    return [
        make("Cast", [name], [named("float")], to=onnx.TensorProto.FLOAT),
        make("ReduceMin", [named("float")], [named("low")], keepdims=1),
        make("ReduceMax", [named("float")], [named("high")], keepdims=1),
        make("Sub", [named("float"), named("float")], [named("zero")]),
        make("ReduceSum", [named("zero")], [named("rest")], keepdims=1),
        make("Size", [name], [named("size")]),
    ]


def _groups(extremes: Mapping[str, _Extremes], fetched_bytes: int) -> Iterator[dict[str, float]]:
    """Names of tensors that are fetched together, each with its largest absolute value."""
    group: dict[str, float] = {}
    size = 0
    for name, found in extremes.items():
        if group and size + 4 * found.elements > fetched_bytes:
            yield group
            group, size = {}, 0
        group[name] = found.largest
        size += 4 * found.elements
    yield group


def _histograms(model: onnx.ModelProto, data: Dataset, largest: Mapping[str, float]) -> dict[str, Array]:
    result = {name: np.zeros(BINS, np.int64) for name in largest}
    # Casting gives every tensor an output of its own, inputs of the model included.
    outputs = [f"{_PREFIX}_float_{index}" for index in range(len(largest))]
    nodes = [
        onnx.helper.make_node("Cast", [name], [output], to=onnx.TensorProto.FLOAT)
        for name, output in zip(largest, outputs, strict=True)
    ]
    with Probe(model, nodes, outputs) as probe:
        for feeds in data:
            for (name, limit), values in zip(largest.items(), probe.run(feeds), strict=True):
                if limit:
                    result[name] += np.histogram(np.abs(values), BINS, range=(0.0, limit))[0]
    return result


def _threshold(histogram: Array, largest: float, calibration: Calibration) -> float:
    if calibration.method == "entropy":
        return entropy_threshold(histogram, largest)
    return percentile_threshold(histogram, largest, calibration.percentile)


def _place(model: onnx.ModelProto, tensor: str) -> Place:
    for node in model.graph.node:
        if tensor in node.output:
            return Place(node=label(node))
    return Place(node=tensor)
