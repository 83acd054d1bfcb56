"""What became of a build: plain values that travel between processes, into JSON and into reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from converters.verify.base import Verdict


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the work.

    Attributes:
        name: such as "to ONNX", "int8", "gate int8", "engine int8 rtx", "publish int8 rtx".
        seconds: that it took now; of a cached one, the time to fetch it.
        cached: whether it was done before and only looked up.
    """

    name: str
    seconds: float
    cached: bool


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as reports show it.

    Attributes:
        kind: the error's class, such as "GateFailed" or "Unsupported".
        step, node: where; empty where it is not known.
        what: what was wrong.
        hint: the way out.
    """

    kind: str
    step: str
    node: str
    what: str
    hint: str


@dataclass(frozen=True, slots=True)
class Latency:
    """A variant against the FP32 ONNX model, measured interleaved in one run.

    Attributes:
        runner: what ran both, such as "onnxruntime 1.31.1 (CPU)".
        batch: samples a run.
        before_ms, after_ms: median time of one run, in milliseconds.
        cpu_before_ms, cpu_after_ms: processor time of one run, in milliseconds.
    """

    runner: str
    batch: int
    before_ms: float
    after_ms: float
    cpu_before_ms: float
    cpu_after_ms: float

    @property
    def speedup(self) -> float:
        """How many times as fast; above 1 is faster."""
        return self.before_ms / self.after_ms if self.after_ms else float("inf")


@dataclass(frozen=True, slots=True)
class Built:
    """One variant for one target: a plan, several plans, or an ONNX model for CPUs.

    Attributes:
        target: its name in the configuration.
        builder, version: what built it.
        compute_capabilities: of all its plans; empty for ONNX.
        files: size in bytes by file name.
        seconds: that building took, when it was built.
        cached: whether it was built before.
        ran: "engine" if the result itself was run for its gate; "onnx" if that was the typed ONNX which it was built
            from, and the engine was built and checked for validity but not run.
        verdict: of the engine's own run, or of a graph for CPUs that is not the variant's; None where nothing but the
            variant's own ONNX was run.
        latency: of the same, in ONNX Runtime; None where it was not measured.
        published: folder and version in the repository as `NAME/N`; empty if it was not published.
        new: whether this publication is a new version, and not one that was there already.
        warnings: of the builder.
        problem: why it failed; None if it did not.
    """

    target: str
    builder: str
    version: str = ""
    compute_capabilities: tuple[int, ...] = ()
    files: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    cached: bool = False
    ran: Literal["engine", "onnx"] = "onnx"
    verdict: Verdict | None = None
    latency: Latency | None = None
    published: str = ""
    new: bool = False
    warnings: tuple[str, ...] = ()
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class VariantResult:
    """One variant of a model.

    Attributes:
        name: in the configuration.
        precision: "fp16", ...
        kept_fp32: nodes that stayed in FP32.
        bytes_after: size of the typed ONNX.
        verdict: of the ONNX that engines are built from, or of that for CPUs if there are no engines; None if it did
            not come to it or the model has no verification data.
        latency: of the same, in ONNX Runtime; None where it was not measured.
        built: for each target. INT8 for CPUs is another graph than INT8 for TensorRT, with figures of its own.
        steps: what was done.
        problem: why it failed; None if it did not.
    """

    name: str
    precision: str
    kept_fp32: tuple[str, ...] = ()
    bytes_after: int = 0
    verdict: Verdict | None = None
    latency: Latency | None = None
    built: tuple[Built, ...] = ()
    steps: tuple[Step, ...] = ()
    problem: Problem | None = None

    @property
    def passed(self) -> bool:
        """Whether everything that was asked for is there."""
        return self.problem is None and all(each.problem is None for each in self.built)


@dataclass(frozen=True, slots=True)
class ModelResult:
    """One model.

    Attributes:
        name: in the configuration.
        source: as configured.
        kind: "savedmodel", "onnx", ...; empty if it could not be opened.
        sha256: of the source.
        opset: of the ONNX.
        bytes_before: size of the FP32 ONNX model.
        verdict: of the FP32 ONNX model against the original.
        variants: in the configuration's order.
        steps: what was done for all of them.
        seconds: wall time in total.
        peak_mib: the most memory that its process took.
        problem: why it failed as a whole; None if it did not.
    """

    name: str
    source: str
    kind: str = ""
    sha256: str = ""
    opset: int = 0
    bytes_before: int = 0
    verdict: Verdict | None = None
    variants: tuple[VariantResult, ...] = ()
    steps: tuple[Step, ...] = ()
    seconds: float = 0.0
    peak_mib: int = 0
    problem: Problem | None = None

    @property
    def passed(self) -> bool:
        """Whether everything that was asked for is there."""
        return self.problem is None and all(variant.passed for variant in self.variants)


@dataclass(frozen=True, slots=True)
class BuildResult:
    """A whole build.

    Attributes:
        started_at: ISO 8601 in UTC.
        seconds: wall time.
        machine: processor, cores, memory and GPUs, in words.
        versions: of the libraries that took part, by name.
        models: in the configuration's order.
    """

    started_at: str
    seconds: float
    machine: str
    versions: Mapping[str, str]
    models: tuple[ModelResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every model is done as asked."""
        return all(model.passed for model in self.models)
