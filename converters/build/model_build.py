"""All that is done for one model, step by step; each step is looked up first, and done only if it has to be."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from converters.build.cache import StepCache
from converters.build.config import targets_of
from converters.build.engine_step import EngineStep
from converters.build.events import Event, Listener, StepProgress
from converters.build.gate_step import Judge, Refused
from converters.build.onnx_step import Converted, to_onnx
from converters.build.publish_step import Publication
from converters.build.results import Built, Latency, ModelResult, Problem, Step, VariantResult
from converters.build.shared_store import shared_store
from converters.build.timing_step import latency
from converters.build.variant_step import Base, Typed, VariantStep
from converters.build.workbench import Workbench
from converters.build.worker import Request
from converters.errors import ConversionError, first_line
from converters.graph.files import load, save
from converters.precision.base import ServedBy
from converters.to_onnx.lowering.tensor_operators import TensorOperatorsFromOnnx
from converters.verify.base import Verdict
from converters.verify.onnx_runner import OnnxRunner


@dataclass(frozen=True, slots=True)
class Group:
    """Targets that take the same graph.

    Attributes:
        targets: their names.
        served_by: what runs it.
        base: gives the FP32 graph that it is made from.
    """

    targets: tuple[str, ...]
    served_by: ServedBy
    base: Callable[[], Base]


class ModelBuild:
    """Works on one model; never raises, as what goes wrong is a part of the result."""

    def __init__(self, request: Request, tell: Listener) -> None:
        config, base = request.config, request.base
        self._name = request.model
        self._tell = tell
        shared = shared_store(config.cache, base, self._warn) if config.cache else None
        cache = StepCache(request.cache, shared)
        self._bench = Workbench(request.model, config, base, cache, tell, request.threads)

    def run(self) -> ModelResult:
        """Build all variants for all targets; one that fails does not keep the others from being built."""
        started = time.monotonic()
        result = ModelResult(self._name, self._bench.section.source)
        try:
            converted = to_onnx(self._bench)
            result = replace(
                result,
                kind=converted.original.kind,
                sha256=converted.sha256,
                opset=converted.facts.opset,
                bytes_before=converted.facts.size_bytes,
            )
            with Judge(self._bench, converted) as judge:
                result = replace(result, verdict=self._judged(converted, judge))
                steps = self._steps()
                variants = tuple(self._variant(converted, judge, name) for name in self._bench.section.variants)
            result = replace(result, variants=variants, steps=steps)
        except Exception as error:
            verdict = error.verdict if isinstance(error, Refused) else result.verdict
            result = replace(result, problem=self._problem(error), verdict=verdict, steps=self._steps())
        self._tell_the_end(result)
        return replace(result, seconds=time.monotonic() - started)

    def _judged(self, converted: Converted, judge: Judge) -> Verdict | None:
        """The FP32 ONNX model against the original: what everything else is made from must be right."""
        path, threads = converted.made.folder / "model.onnx", self._bench.threads
        section = self._bench.section.gate
        return judge.accepted("gate onnx", converted.made, lambda: OnnxRunner(path, threads), section, "fp32")

    def _variant(self, converted: Converted, judge: Judge, name: str) -> VariantResult:
        result = VariantResult(name, self._bench.section.variants[name].precision)
        for group in self._groups(converted, name):
            result = self._group(converted, judge, group, result)
        return replace(result, steps=self._steps())

    def _group(self, converted: Converted, judge: Judge, group: Group, result: VariantResult) -> VariantResult:
        """A variant for the targets that take the same graph; another group is built even if this one fails."""
        step = VariantStep(self._bench, converted, judge, result.name, group.served_by)
        try:
            typed = step.made_from(group.base())
            measured = self._latency(converted, step, typed)
            built = [self._built(converted, judge, typed, result.name, target) for target in group.targets]
        except Exception as error:
            verdict = error.verdict if isinstance(error, Refused) else result.verdict
            return replace(result, problem=result.problem or self._problem(error), verdict=verdict)
        if not result.built and result.problem is None:
            result = replace(result, bytes_after=_size(typed), verdict=typed.verdict, latency=measured)
        elif group.served_by == "cpu":  # another graph than the one that engines are built from
            built = [replace(each, verdict=typed.verdict, latency=measured) for each in built]
        kept = tuple(sorted({*result.kept_fp32, *typed.kept.fp32}))
        return replace(result, kept_fp32=kept, built=(*result.built, *built))

    def _groups(self, converted: Converted, variant: str) -> list[Group]:
        """The targets of a variant, those together that take the same graph."""
        section = self._bench.section
        targets = targets_of(section, section.variants[variant])
        plain = Base(converted.made, lambda: converted.model)
        cpus = tuple(name for name in targets if self._bench.config.targets[name].builder == "onnxruntime")
        engines = tuple(name for name in targets if name not in cpus)
        lowered = converted.facts.classical and bool(engines)  # TensorRT takes no classical operators
        groups = []
        if engines or not targets:
            groups.append(Group(engines, "tensorrt", lambda: self._lowered(converted) if lowered else plain))
        if cpus:
            groups.append(Group(cpus, "cpu", lambda: plain))
        return groups

    def _lowered(self, converted: Converted) -> Base:
        def work(folder: Path, progress: StepProgress) -> None:
            progress.stage("writing out classical operators")
            save(TensorOperatorsFromOnnx(converted.model)(), folder / "model.onnx")

        made = self._bench.step("to tensor operators", "lowered", {"onnx": converted.made.digest}, work)
        self._bench.done("to tensor operators", "for TensorRT", cached=made.cached)
        return Base(made, lambda: load(made.folder / "model.onnx"), comparing=True)

    def _latency(self, converted: Converted, step: VariantStep, typed: Typed) -> Latency | None:
        return latency(self._bench, converted, step, typed.made) if self._bench.config.timings else None

    def _built(self, converted: Converted, judge: Judge, typed: Typed, variant: str, target: str) -> Built:
        section = self._bench.config.targets[target]
        built = Built(target, section.builder)
        try:
            publication = Publication(self._bench, converted, typed, variant, target)
            if section.builder == "onnxruntime":
                return publication.onnx()
            return publication.engines(EngineStep(self._bench, judge, variant, target).engines(typed))
        except Exception as error:
            verdict = error.verdict if isinstance(error, Refused) else None
            return replace(built, problem=self._problem(error), verdict=verdict)

    def _steps(self) -> tuple[Step, ...]:
        steps = tuple(self._bench.steps)
        self._bench.steps.clear()
        return steps

    def _problem(self, error: Exception) -> Problem:
        """An error as reports show it; told at once, too."""
        if not isinstance(error, ConversionError):
            traceback.print_exception(error)  # into the worker's log
            what = f"{type(error).__name__}: {first_line(error)}"
            error = ConversionError(f"this is a mistake in triton-convert ({what})", hint="report it with the log")
        error.at(model=self._name)
        self._tell(Event(self._name, "failed", error.place.step, detail=_sentence(error)))
        return Problem(type(error).__name__, error.place.step, error.place.node, error.what, error.hint)

    def _tell_the_end(self, result: ModelResult) -> None:
        count = sum(len(variant.built) for variant in result.variants)
        if result.passed:
            self._tell(Event(self._name, "done", "", detail=f"{count} results"))

    def _warn(self, message: str) -> None:
        self._tell(Event(self._name, "works", "", detail=message))


def _size(typed: Typed) -> int:
    return sum(path.stat().st_size for path in typed.made.folder.glob("model.onnx*"))


def _sentence(error: ConversionError) -> str:
    node = f"node {error.place.node}: " if error.place.node else ""
    return f"{node}{error.what}; {error.hint}"
