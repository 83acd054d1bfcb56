"""The part of the page that is about one model: its charts, and its variants with figures, results and steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from converters.build.results import Built, Latency, ModelResult, Problem, Step, VariantResult
from converters.report import words
from converters.report.charts import Bar, axis, bars, histogram
from converters.report.elements import Html, badge, code, element, folded, joined, table
from converters.report.summary import verdicts, worst_first
from converters.verify.base import OutputDifference, Verdict

_SHOWN = 4  # outputs whose charts are not folded away
_NOTHING = Html("")


def model_card(model: ModelResult, anchor: str) -> Html:
    """Everything about one model.

    Args:
        model: the model.
        anchor: the card's id in the page.
    """
    return element(
        "article",
        element("header", element("h2", model.name), badge("passed" if model.passed else "failed")),
        _facts(model),
        _alarm(model.problem),
        _charts(model),
        _errors(model),
        element("section", element("h3", "FP32 ONNX against the original"), _verdict(model.verdict))
        if model.verdict
        else _NOTHING,
        *(_variant(variant, model) for variant in model.variants),
        _steps("Steps for all variants", model.steps),
        class_="card",
        id=anchor,
    )


def problem_box(problem: Problem, verdict: Verdict | None, title: Html = _NOTHING) -> Html:
    """What was wrong, where, and the way out; of a gate, the thresholds that were not met, too."""
    where = [joined(("step ", code(problem.step)))] if problem.step else []
    where += [joined(("node ", code(problem.node)))] if problem.node else []
    items = [("What was wrong", Html(element("span", problem.what)))]
    items += [("Where", joined(where, ", "))] if where else []
    items.append(("Way out", element("span", problem.hint)))
    layer = verdict.worst_layer if verdict else None
    if layer is not None:
        told = f" ({layer.operator}), mean relative error {words.figure(layer.mean_rel)} at "
        items.append(("Worst layer", joined((code(layer.node), told, code(layer.tensor)))))
    listed = (joined((element("dt", term), element("dd", told))) for term, told in items)
    failures = verdict.failures if verdict else ()
    rows = [
        (each.output or "all", each.measure, words.figure(each.value), words.figure(each.limit)) for each in failures
    ]
    figures = table("Thresholds that were not met", ("Output", "Measure", "Measured", "Limit"), rows)
    return element("div", title, element("dl", *listed), figures if rows else _NOTHING, class_="problem")


def _facts(model: ModelResult) -> Html:
    facts = (
        ("Source", model.source),
        ("Kind", model.kind),
        ("Opset", str(model.opset or "")),
        ("FP32 ONNX", words.size(model.bytes_before) if model.bytes_before else ""),
        ("Took", words.duration(model.seconds)),
        ("Peak memory", f"{model.peak_mib} MiB" if model.peak_mib else ""),
        ("SHA-256", model.sha256[:12]),
    )
    pairs = (element("div", element("dt", term), element("dd", told)) for term, told in facts if told)
    return element("dl", *pairs, class_="facts")


def _charts(model: ModelResult) -> Html:
    sizes = list(_sizes(model))
    charts = [_figure("Size", _size_note(sizes), bars(f"Sizes of {model.name}", sizes))] if len(sizes) > 1 else []
    for variant in model.variants:
        if variant.latency:
            charts.append(_latency(f"{variant.name} in ONNX Runtime", "fp32", variant.name, variant.latency))
        charts += [
            _latency(f"{variant.name} {built.target}", "fp32", f"{variant.name} {built.target}", built.latency)
            for built in variant.built
            if built.latency
        ]
    return element("div", *charts, class_="charts") if charts else _NOTHING


def _sizes(model: ModelResult) -> Iterator[Bar]:
    before = model.bytes_before
    if before:
        yield Bar("FP32 ONNX", before, words.size(before), "before")
    for variant in model.variants:
        after = variant.bytes_after
        if after:
            ratio = f", {words.smaller(before, after)}" if before else ""
            yield Bar(f"{variant.name} ONNX", after, f"{words.size(after)}{ratio}")
        for built in variant.built:
            total = sum(built.files.values())
            if total and words.is_engine(built):
                gpus = words.count(len(built.compute_capabilities), "GPU kind")
                yield Bar(f"{variant.name} {built.target}, {gpus}", total, words.size(total), "engine")


def _size_note(sizes: Sequence[Bar]) -> str:
    engines = (
        "; an engine holds code for each of its kinds of GPU" if any(bar.kind == "engine" for bar in sizes) else ""
    )
    return f"before and after{engines}"


def _latency(title: str, before: str, after: str, latency: Latency) -> Html:
    ratio = words.speedup(latency)
    rows = [
        Bar(before, latency.before_ms, words.milliseconds(latency.before_ms), "before"),
        Bar(after, latency.after_ms, f"{words.milliseconds(latency.after_ms)}, {ratio} as fast"),
    ]
    processor = (
        f"processor time {words.milliseconds(latency.cpu_before_ms)} before, "
        f"{words.milliseconds(latency.cpu_after_ms)} after"
    )
    note = f"median of a run of {words.count(latency.batch, 'sample')}, {latency.runner}; {processor}"
    return _figure(f"Latency of {title}", note, bars(f"Latency of {title}", rows))


def _errors(model: ModelResult) -> Html:
    """The distributions of errors: of each output side by side for all results, in the same bins."""
    found = dict[str, list[tuple[str, OutputDifference]]]()
    for label, verdict in verdicts(model):
        for output in worst_first(verdict):
            found.setdefault(output.name, []).append((label, output))
    if not found:
        return _NOTHING
    edges = axis(output.histogram for outputs in found.values() for _, output in outputs)
    drawn = [
        joined(
            (
                element("h4", "Output ", code(name)),
                element("div", *(_distribution(label, output, edges) for label, output in outputs), class_="charts"),
            )
        )
        for name, outputs in found.items()
    ]
    rest = drawn[_SHOWN:]
    return element(
        "section",
        element("h3", "Absolute errors"),
        element("p", "Share of the elements whose error lies in each power of ten.", class_="quiet"),
        *drawn[:_SHOWN],
        folded(words.count(len(rest), "more output"), *rest) if rest else _NOTHING,
    )


def _distribution(label: str, output: OutputDifference, edges: Sequence[float]) -> Html:
    note = f"mean {words.figure(output.mean_abs)}, largest {words.figure(output.max_abs)}"
    alarm = element("p", f"{output.bad} NaN or infinite", class_="alarm") if output.bad else _NOTHING
    return _figure(label, note, joined((histogram(label, output, edges), alarm)))


def _figure(title: str, note: str, drawn: Html) -> Html:
    caption = element("figcaption", element("strong", title))
    return element("figure", caption, drawn, element("p", note, class_="quiet"))


def _alarm(problem: Problem | None) -> Html:
    """A problem in one line; what failed is told in full at the top of the page."""
    return element("p", problem.what, class_="alarm") if problem else _NOTHING


def _variant(variant: VariantResult, model: ModelResult) -> Html:
    heading = element("h3", variant.name, " ", element("span", variant.precision, class_="chip"))
    kept = variant.kept_fp32
    return element(
        "section",
        element("header", heading, badge(words.status(variant))),
        _alarm(variant.problem),
        _verdict(variant.verdict) if variant.verdict else _NOTHING,
        _results(variant),
        folded(f"{words.count(len(kept), 'node')} kept in FP32", _list(kept)) if kept else _NOTHING,
        *(_warnings(built) for built in variant.built if built.warnings),
        _steps(f"Steps of {model.name} {variant.name}", variant.steps),
    )


def _verdict(verdict: Verdict) -> Html:
    outputs = worst_first(verdict)
    told = f"{words.count(verdict.samples, 'sample')}; original: {verdict.original}, result: {verdict.result}"
    metrics = [(name, words.figure(value)) for name, value in verdict.metrics.items()]
    return element(
        "div",
        element("p", told, class_="quiet"),
        table("Accuracy of each output, worst first", _ACCURACY, map(_accuracy, outputs), 8) if outputs else _NOTHING,
        table("Metrics of your own", ("Metric", "Value"), metrics, 1) if metrics else _NOTHING,
    )


_ACCURACY = (
    "Output", "Cosine", "Mean rel.", "Max rel.", "Mean abs.", "Max abs.", "Top-1", "Top-5", "NaN or infinite",
)  # fmt: skip


def _accuracy(output: OutputDifference) -> tuple[str, ...]:
    return (
        output.name,
        words.cosine(output.cosine),
        *(words.figure(value) for value in (output.mean_rel, output.max_rel, output.mean_abs, output.max_abs)),
        words.share(output.top1),
        words.share(output.top5),
        str(output.bad),
    )


def _results(variant: VariantResult) -> Html:
    headings = ("Target", "How it was checked", "Published as", "Size", "Builder", "For", "Built in")
    rows = [_result(variant, built) for built in variant.built]
    return table(f"Results of {variant.name}", headings, rows) if rows else _NOTHING


def _result(variant: VariantResult, built: Built) -> tuple[str, ...]:
    builder = f"{built.builder} {built.version}".strip()
    gpus = words.capabilities(built.compute_capabilities)
    if built.problem is not None:
        told = joined((badge("failed"), _alarm(built.problem)))
        return (built.target, told, words.NOTHING, words.NOTHING, builder, gpus or words.NOTHING, words.NOTHING)
    took = words.duration(built.seconds) if words.is_engine(built) else words.NOTHING
    state = "new" if built.new else "unchanged"
    return (
        built.target,
        words.checked(variant, built),
        joined((code(built.published), f" {state}")) if built.published else words.NOTHING,
        words.size(sum(built.files.values())),
        builder,
        gpus or ("GPU" if words.is_engine(built) else "CPU"),
        f"{took}, known already" if built.cached and words.is_engine(built) else took,
    )


def _warnings(built: Built) -> Html:
    title = f"{words.count(len(built.warnings), 'warning')} of {built.builder} for {built.target}"
    return folded(title, _list(built.warnings))


def _steps(caption: str, steps: Sequence[Step]) -> Html:
    if not steps:
        return _NOTHING
    rows = [(step.name, words.duration(step.seconds), "known already" if step.cached else "done now") for step in steps]
    cached = sum(step.cached for step in steps)
    summary = f"{caption}: {len(steps)}, {cached} known already"
    return folded(summary, table(caption, ("Step", "Took", "Work"), rows, 1))


def _list(lines: Sequence[str]) -> Html:
    return element("ul", *(element("li", line) for line in lines), class_="names")
