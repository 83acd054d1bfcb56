"""A build as JUnit XML, for the lists of tests that CI services show.

There is one suite for each model. Its cases are the gates, the engines and the publications, named like the build's
steps, the same whether they pass or not, so that a service can follow each of them over time. Only elements and
attributes are used that the schemas of Jenkins and Ant have in common, which GitLab's and GitHub's readers take too.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from converters.build.results import BuildResult, Built, ModelResult, Problem, Step, VariantResult
from converters.report import words
from converters.report.summary import is_gate, worst_first
from converters.verify.base import Verdict

_NO_DATA = "not judged: there is no verification data"


@dataclass(frozen=True, slots=True)
class _Case:
    group: str
    name: str
    seconds: float
    told: str = ""
    problem: Problem | None = None
    skipped: str = ""


def junit(result: BuildResult) -> bytes:
    """The whole document, in UTF-8."""
    root = ET.Element("testsuites", name="triton-convert")
    for model in result.models:
        root.append(_suite(result, model))
    for key in ("tests", "failures", "errors", "skipped"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    root.set("time", _seconds(result.seconds))
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _suite(result: BuildResult, model: ModelResult) -> ET.Element:
    cases = list(_cases(model))
    broken = [case.problem for case in cases if case.problem is not None]
    suite = ET.Element(
        "testsuite",
        name=words.clean(model.name),
        tests=str(len(cases)),
        failures=str(sum(is_gate(problem) for problem in broken)),
        errors=str(sum(not is_gate(problem) for problem in broken)),
        skipped=str(sum(bool(case.skipped) for case in cases)),
        time=_seconds(model.seconds),
        timestamp=_timestamp(result.started_at),
    )
    properties = ET.SubElement(suite, "properties")
    facts = {"source": model.source, "kind": model.kind, "sha256": model.sha256, "machine": result.machine}
    for name, value in {**facts, **result.versions}.items():
        if value:
            ET.SubElement(properties, "property", name=words.clean(name), value=words.clean(value))
    suite.extend(_element(case) for case in cases)
    return suite


def _cases(model: ModelResult) -> Iterator[_Case]:
    yield from _gate(model.name, "gate onnx", model.verdict, model.problem, model.steps)
    for variant in model.variants:
        group = f"{model.name}.{variant.name}"
        yield from _gate(group, f"gate {variant.name}", variant.verdict, variant.problem, variant.steps)
        for built in variant.built:
            yield from _of_target(group, variant, built)


def _gate(
    group: str, name: str, verdict: Verdict | None, problem: Problem | None, steps: Iterable[Step]
) -> Iterator[_Case]:
    """The gate's case; what went wrong after a gate that passed has a case of its own."""
    seconds, told = _took(steps, name), _figures(verdict)
    if verdict is not None and verdict.passed and problem is not None:
        yield _Case(group, name, seconds, told)
        yield _Case(group, problem.step or "build", _took(steps, problem.step), problem=problem)
    else:
        yield _Case(group, name, seconds, told, problem, "" if verdict or problem else _NO_DATA)


def _of_target(group: str, variant: VariantResult, built: Built) -> Iterator[_Case]:
    own = f"{variant.name} {built.target}"
    if built.problem is not None:
        kind = built.problem.step.partition(" ")[0]
        name = f"{kind if kind in {'gate', 'publish'} else _made(built)} {own}"
        yield _Case(group, name, _took(variant.steps, name), _figures(built.verdict), built.problem)
        return
    if words.is_engine(built):
        yield _Case(group, f"engine {own}", _took(variant.steps, f"engine {own}"), _told_of_engine(variant, built))
    if built.verdict is not None:
        yield _Case(group, f"gate {own}", _took(variant.steps, f"gate {own}"), _figures(built.verdict))
    if built.published:
        outcome = "a new version" if built.new else "there already"
        yield _Case(group, f"publish {own}", _took(variant.steps, f"publish {own}"), f"{built.published}, {outcome}")


def _made(built: Built) -> str:
    return "engine" if words.is_engine(built) else "publish"


def _told_of_engine(variant: VariantResult, built: Built) -> str:
    lines = [
        f"{built.builder} {built.version}, {words.capabilities(built.compute_capabilities)}",
        *(f"{name}: {words.size(count)}" for name, count in built.files.items()),
        f"built in {words.duration(built.seconds)}{', known already' if built.cached else ''}",
        words.checked(variant, built),
        *(f"warning: {warning}" for warning in built.warnings),
    ]
    return "\n".join(lines)


def _figures(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    lines = [f"{verdict.samples} samples; original: {verdict.original}; result: {verdict.result}"]
    for output in worst_first(verdict):
        relative, largest = words.figure(output.mean_rel), words.figure(output.max_abs)
        classes = f", top-1 {words.share(output.top1)}" if output.top1 is not None else ""
        lines.append(
            f"{output.name}: cosine {words.cosine(output.cosine)}, mean relative error {relative}, "
            f"max absolute error {largest}{classes}, {output.bad} NaN or infinite"
        )
    lines += [f"{name}: {words.figure(value)}" for name, value in verdict.metrics.items()]
    return "\n".join(lines)


def _element(case: _Case) -> ET.Element:
    element = ET.Element(
        "testcase", classname=words.clean(case.group), name=words.clean(case.name), time=_seconds(case.seconds)
    )
    if case.problem is not None:
        problem = case.problem
        where = f"step {problem.step}" + (f", node {problem.node}" if problem.node else "")
        kind = "failure" if is_gate(problem) else "error"
        told = ET.SubElement(element, kind, message=words.clean(problem.what), type=words.clean(problem.kind))
        told.text = words.clean("\n".join((problem.what, f"where: {where}", f"way out: {problem.hint}")))
    elif case.skipped:
        ET.SubElement(element, "skipped", message=case.skipped)
    if case.told:
        ET.SubElement(element, "system-out").text = words.clean(case.told)
    return element


def _took(steps: Iterable[Step], name: str) -> float:
    """Of a step and its parts, such as an engine's plans for each GPU."""
    return sum(step.seconds for step in steps if step.name == name or step.name.startswith(f"{name} "))


def _seconds(value: float) -> str:
    return f"{value if math.isfinite(value) else 0:.3f}"


def _timestamp(started_at: str) -> str:
    """In UTC without a zone, as the schema wants it."""
    try:
        return datetime.fromisoformat(started_at).replace(tzinfo=None).isoformat(timespec="seconds")
    except ValueError:
        return "1970-01-01T00:00:00"
