"""What stands at the top of a report: how much was done, and all that went wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from converters.build.results import BuildResult, ModelResult, Problem, Step
from converters.report.words import count, duration
from converters.verify.base import OutputDifference, Verdict


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts over a whole build.

    Attributes:
        models, variants, results: how many there are; results are engines and ONNX models for single targets.
        failed_models, failed_variants, failed_results: those of them that are not as asked.
        known: results that were there already.
        new: versions that were published.
        steps, cached_steps: of all the work, and those that were only looked up.
        seconds: wall time.
    """

    models: int
    failed_models: int
    variants: int
    failed_variants: int
    results: int
    failed_results: int
    known: int
    new: int
    steps: int
    cached_steps: int
    seconds: float

    @property
    def headline(self) -> str:
        """The outcome in one sentence."""
        if not self.models:
            return "Nothing to build"
        if self.failed_models:
            return f"{self.failed_models} of {count(self.models, 'model')} failed"
        return "The model passed" if self.models == 1 else f"All {self.models} models passed"

    @property
    def details(self) -> str:
        """What was done, in one line."""
        passed = self.variants - self.failed_variants
        return ", ".join(
            (
                f"{count(passed, 'variant')} passed and {self.failed_variants} failed",
                f"{count(self.results - self.failed_results, 'result')} ({self.known} known already)",
                f"{count(self.new, 'new version')} published",
                duration(self.seconds),
            )
        )


def totals(result: BuildResult) -> Totals:
    """The counts of a build."""
    variants = [variant for model in result.models for variant in model.variants]
    built = [each for variant in variants for each in variant.built]
    steps = [step for model in result.models for step in steps_of(model)]
    return Totals(
        models=len(result.models),
        failed_models=sum(not model.passed for model in result.models),
        variants=len(variants),
        failed_variants=sum(not variant.passed for variant in variants),
        results=len(built),
        failed_results=sum(each.problem is not None for each in built),
        known=sum(each.cached and each.problem is None for each in built),
        new=sum(each.new and each.problem is None for each in built),
        steps=len(steps),
        cached_steps=sum(step.cached for step in steps),
        seconds=result.seconds,
    )


def steps_of(model: ModelResult) -> Iterator[Step]:
    """Every step of a model, in the order of the work."""
    yield from model.steps
    for variant in model.variants:
        yield from variant.steps


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that failed.

    Attributes:
        place: the model's, variant's and target's names, as far as the failure is only theirs.
        problem: what was wrong.
        verdict: of the gate that failed; None if it was no gate or its figures are not known.
    """

    place: tuple[str, ...]
    problem: Problem
    verdict: Verdict | None


def troubles(result: BuildResult) -> tuple[Trouble, ...]:
    """All that failed, in the configuration's order."""
    found = list[Trouble]()
    for model in result.models:
        if model.problem is not None:
            found.append(Trouble((model.name,), model.problem, _failed(model.verdict)))
        for variant in model.variants:
            if variant.problem is not None:
                found.append(Trouble((model.name, variant.name), variant.problem, _failed(variant.verdict)))
            found += [
                Trouble((model.name, variant.name, built.target), built.problem, _failed(built.verdict))
                for built in variant.built
                if built.problem is not None
            ]
    return tuple(found)


def is_gate(problem: Problem) -> bool:
    """Whether a gate said no, and nothing broke."""
    return problem.kind in {"GateFailed", "Refused"}


def verdicts(model: ModelResult) -> Iterator[tuple[str, Verdict]]:
    """All that was judged of a model: the ONNX, each variant, and what was judged by itself for a target."""
    if model.verdict is not None:
        yield "FP32 ONNX", model.verdict
    for variant in model.variants:
        if variant.verdict is not None:
            yield variant.name, variant.verdict
        for built in variant.built:
            if built.verdict is not None:
                yield f"{variant.name} {built.target}", built.verdict


def worst_first(verdict: Verdict) -> tuple[OutputDifference, ...]:
    """A verdict's outputs, those that are farthest from the original's first."""

    def distance(output: OutputDifference) -> tuple[bool, float]:
        return output.bad > 0, math.inf if math.isnan(output.mean_rel) else output.mean_rel

    return tuple(sorted(verdict.outputs, key=distance, reverse=True))


def _failed(verdict: Verdict | None) -> Verdict | None:
    return verdict if verdict is not None and not verdict.passed else None
