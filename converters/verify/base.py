"""What every way to run a model offers, and what a comparison of two runs says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from converters.arrays import Array, Feeds


class Runner(Protocol):
    """A model that is ready to run."""

    @property
    def name(self) -> str:
        """What runs it, with its version, such as "onnxruntime 1.31.1"."""

    def run(self, feeds: Feeds) -> Mapping[str, Array]:
        """All outputs by name for one batch.

        Raises:
            BadData: the model does not take this input; says which tensor and what it should be.
        """

    def close(self) -> None:
        """Let go of memory and devices."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often absolute errors of which size occur, in bins of powers of ten.

    Attributes:
        edges: of the bins, ascending, one more than counts; the first is 0.
        counts: elements in each bin.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OutputDifference:
    """How far one output of the result is from the original's, over all data.

    Attributes:
        name: of the output.
        max_abs, mean_abs: absolute error, in the output's own unit.
        max_rel, mean_rel: absolute error relative to the original's absolute value, or to the output's mean absolute
            value where that is larger (so that zeros do not count as infinitely wrong).
        cosine: the lowest cosine of the original's and the result's vector over all samples; 1.0 is the same direction.
        top1, top5: share of samples whose best class, or set of five best classes, is the same; None where the output
            has fewer than 2 (or 6) entries in its last dimension.
        bad: elements that are NaN or infinite in the result and not in the original.
        histogram: of the absolute errors.
    """

    name: str
    max_abs: float
    mean_abs: float
    max_rel: float
    mean_rel: float
    cosine: float
    top1: float | None
    top5: float | None
    bad: int
    histogram: Histogram


@dataclass(frozen=True, slots=True)
class Failure:
    """One threshold that was not met.

    Attributes:
        output: its name; empty for a metric over all of them.
        measure: such as "max_abs", "cosine", "nan" or a user's "module:function".
        value: what was measured.
        limit: what was allowed.
    """

    output: str
    measure: str
    value: float
    limit: float

    def __str__(self) -> str:
        where = f"output '{self.output}': " if self.output else ""
        return f"{where}{self.measure} is {self.value:.6g}, and {self.limit:.6g} is the limit"


@dataclass(frozen=True, slots=True)
class LayerDifference:
    """A node whose output differs between two graphs of one model.

    Attributes:
        node: its name.
        operator: its ONNX operator.
        tensor: the output that was compared.
        mean_rel: mean absolute error relative to the mean absolute value; infinite if there is a NaN or an infinity
            that the original does not have.
        added: how much of that the node's inputs do not have, and its readers do.
    """

    node: str
    operator: str
    tensor: str
    mean_rel: float
    added: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a gate says of one result.

    Attributes:
        passed: whether every threshold was met.
        batches, samples: how much data was run.
        original, result: what ran each, by name and version.
        outputs: every output's difference.
        metrics: users' own, by name.
        failures: the thresholds that were not met, the worst output's first.
        worst_layer: where the loss begins; looked for only if the gate failed, None if it could not be found.
    """

    passed: bool
    batches: int
    samples: int
    original: str
    result: str
    outputs: tuple[OutputDifference, ...]
    metrics: Mapping[str, float] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    worst_layer: LayerDifference | None = None

    @property
    def worst_output(self) -> OutputDifference | None:
        """The output with the largest relative mean error."""
        return max(self.outputs, key=lambda output: (output.bad > 0, output.mean_rel), default=None)
