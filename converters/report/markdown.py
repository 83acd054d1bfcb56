"""A build as Markdown, for a job's summary and for merge requests."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from converters.build.results import BuildResult, Built, ModelResult, VariantResult
from converters.report import words
from converters.report.summary import Trouble, steps_of, totals, troubles, verdicts
from converters.verify.base import Verdict

_MARKS = {"passed": "✅ passed", "failed": "❌ failed", "not judged": "⚪ not judged"}
_HEADINGS = (
    "Model", "Variant", "Precision", "Size", "Worst output", "Cosine", "Mean rel. error", "Top-1", "Speed-up",
    "Results", "Published as", "Status",
)  # fmt: skip
_HARMLESS = re.compile(r"[\w./:@+ ()\[\],=-]+")
_MARKUP = re.compile(r"[\\`*\[\]|~$#]|(?<!\w)_|_(?!\w)")
_ENTITIES = str.maketrans({character: f"&#{ord(character)};" for character in "|`*_[]\\~$:@#"})
_SHOWN = 5  # warnings and failures of one result; the page has them all


def markdown(result: BuildResult) -> str:
    """The whole document."""
    blocks = [
        *_head(result),
        *_overview(result),
        *(_trouble(trouble) for trouble in troubles(result)),
        *_not_run(result),
        *_metrics(result),
        *_warnings(result),
        *_cached(result),
        *_versions(result),
    ]
    return "\n\n".join(blocks) + "\n"


def _head(result: BuildResult) -> Iterator[str]:
    counts = totals(result)
    yield f"## {'✅' if result.passed else '❌'} Conversions: {counts.headline[:1].lower()}{counts.headline[1:]}"
    yield f"{counts.details}. Started at {text(result.started_at)} on {text(result.machine)}."


def _overview(result: BuildResult) -> Iterator[str]:
    rows = [row for model in result.models for row in _rows(model)]
    if not rows:
        return
    yield _table(_HEADINGS, rows, "lllrlrrrrlll")
    yield (
        "Worst output is the one with the largest mean relative error. "
        "Speed-up is the FP32 model's median latency divided by the variant's, both in ONNX Runtime on this machine."
    )


def _rows(model: ModelResult) -> Iterator[tuple[str, ...]]:
    if not model.variants:
        status = _MARKS["failed" if model.problem else "not judged"]
        yield (code(model.name), *([words.NOTHING] * (len(_HEADINGS) - 2)), status)
    for variant in model.variants:
        ratio = words.smaller(model.bytes_before, variant.bytes_after)
        sizes = f"{words.size(model.bytes_before)} → {words.size(variant.bytes_after)} ({ratio})"
        yield (
            code(model.name),
            code(variant.name),
            text(variant.precision)
            + (f"<br>{words.count(len(kept), 'node')} FP32" if (kept := variant.kept_fp32) else ""),
            sizes if variant.bytes_after else words.NOTHING,
            *_accuracy(variant.verdict),
            words.speedup(words.latency(variant)),
            "<br>".join(_built(variant, each) for each in variant.built) or words.NOTHING,
            "<br>".join(_published(each) for each in variant.built) or words.NOTHING,
            _MARKS[words.status(variant)],
        )


def _accuracy(verdict: Verdict | None) -> tuple[str, str, str, str]:
    worst = verdict.worst_output if verdict else None
    if worst is None:
        return (words.NOTHING,) * 4
    bad = f"<br>{worst.bad} NaN or infinite" if worst.bad else ""
    return (
        code(worst.name) + bad,
        words.cosine(worst.cosine),
        words.figure(worst.mean_rel),
        words.share(worst.top1),
    )


def _built(variant: VariantResult, built: Built) -> str:
    name = code(built.target)
    if built.problem is not None:
        return f"{name}: ❌ failed"
    parts = [
        f"{text(built.builder)} {text(built.version)}".strip(),
        words.capabilities(built.compute_capabilities),
        words.size(sum(built.files.values())),
        f"built in {words.duration(built.seconds)}" if words.is_engine(built) else "",
        words.checked_briefly(variant, built),
        *_own_figures(built),
        "known already" if built.cached else "",
    ]
    return f"{name}: {', '.join(part for part in parts if part)}"


def _own_figures(built: Built) -> tuple[str, ...]:
    """Of a graph for CPUs, which is not the one that engines are built from."""
    worst = built.verdict.worst_output if built.verdict and not words.is_engine(built) else None
    told = (f"cosine {words.cosine(worst.cosine)}",) if worst else ()
    return (*told, f"{words.speedup(built.latency)} as fast") if built.latency else told


def _published(built: Built) -> str:
    if not built.published:
        return words.NOTHING
    return f"{code(built.published)}{' (new)' if built.new else ''}"


def _trouble(trouble: Trouble) -> str:
    problem = trouble.problem
    where = f"step {code(problem.step)}" if problem.step else "the whole model"
    lines = [
        f"### ❌ {' · '.join(code(part) for part in trouble.place)}",
        "",
        f"- **What was wrong:** {text(problem.what)}",
        f"- **Where:** {where}" + (f", node {code(problem.node)}" if problem.node else ""),
        f"- **Way out:** {text(problem.hint)}",
    ]
    verdict = trouble.verdict
    if verdict is None:
        return "\n".join(lines)
    layer = verdict.worst_layer
    if layer is not None:
        lines.append(
            f"- **Worst layer:** {code(layer.node)} ({text(layer.operator)}), mean relative error of "
            f"{code(layer.tensor)}: {words.figure(layer.mean_rel)}"
        )
    failures = [
        (
            code(each.output) if each.output else "all",
            text(each.measure),
            words.figure(each.value),
            words.figure(each.limit),
        )
        for each in verdict.failures[:_SHOWN]
    ]
    if failures:
        lines += ["", _table(("Output", "Measure", "Measured", "Limit"), failures, "llrr")]
    if len(verdict.failures) > _SHOWN:
        lines += ["", f"And {len(verdict.failures) - _SHOWN} more, in the HTML report."]
    return "\n".join(lines)


def _not_run(result: BuildResult) -> Iterator[str]:
    """Engines that were not run: nobody must take a gate on the ONNX for one on the engine."""
    found = dict[str, list[str]]()
    for model, variant, built in _each(result):
        if built.problem is None and words.is_engine(built) and built.ran != "engine":
            place = f"{code(model.name)} {code(variant.name)} {code(built.target)}"
            found.setdefault(words.checked(variant, built), []).append(place)
    if found:
        lines = (f"- {', '.join(places)}: {words_of_it}" for words_of_it, places in found.items())
        yield "### Engines that were not run\n\n" + "\n".join(lines)


def _metrics(result: BuildResult) -> Iterator[str]:
    rows = [
        (code(model.name), code(judged), code(name), words.figure(value))
        for model in result.models
        for judged, verdict in verdicts(model)
        for name, value in verdict.metrics.items()
    ]
    if rows:
        yield "### Metrics of your own\n\n" + _table(("Model", "Variant", "Metric", "Value"), rows, "lllr")


def _warnings(result: BuildResult) -> Iterator[str]:
    lines = list[str]()
    for model, variant, built in _each(result):
        place = f"{code(model.name)} {code(variant.name)} {code(built.target)}"
        lines += [f"- {place}: {text(warning)}" for warning in built.warnings[:_SHOWN]]
        if len(built.warnings) > _SHOWN:
            lines.append(f"- {place}: {len(built.warnings) - _SHOWN} more, in the HTML report")
    if lines:
        yield _folded(f"Warnings of builders ({len(lines)})", "\n".join(lines))


def _cached(result: BuildResult) -> Iterator[str]:
    counts = totals(result)
    if not counts.steps:
        return
    lines = list[str]()
    for model in result.models:
        steps = list(steps_of(model))
        known = [code(step.name) for step in steps if step.cached]
        if known:
            lines.append(f"- {code(model.name)}, {len(known)} of {len(steps)}: {', '.join(known)}")
    summary = f"{counts.cached_steps} of {words.count(counts.steps, 'step')} known already"
    yield _folded(summary, "\n".join(lines)) if lines else f"{summary}."


def _versions(result: BuildResult) -> Iterator[str]:
    if result.versions:
        rows = [(code(name), code(version)) for name, version in result.versions.items()]
        yield _folded("Versions of tools", _table(("Tool", "Version"), rows, "ll"))


def _each(result: BuildResult) -> Iterator[tuple[ModelResult, VariantResult, Built]]:
    for model in result.models:
        for variant in model.variants:
            for built in variant.built:
                yield model, variant, built


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], alignment: str) -> str:
    rule = ("--:" if side == "r" else ":--" for side in alignment)
    lines = [headings, tuple(rule), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _folded(summary: str, content: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{content}\n\n</details>"


def text(prose: str) -> str:
    """Words of others, on one line, without any effect as Markdown or HTML."""
    return escape(_MARKUP.sub(lambda found: f"\\{found[0]}", _one_line(prose)), quote=False)


def code(name: str) -> str:
    """A name in the font of code, with whatever characters."""
    name = _one_line(name)
    if _HARMLESS.fullmatch(name):
        return f"`{name}`"
    return f"<code>{escape(name, quote=False).translate(_ENTITIES)}</code>"


def _one_line(prose: str) -> str:
    return " ".join(words.clean(prose).split())
