"""A report as one HTML page with charts: no other files and no scripts, in light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from gateway.tap.report import charts, elements, tabular, words
from gateway.tap.report.elements import Markup, join, table, tag
from gateway.tap.report.latencies import latencies
from gateway.tap.report.model import OutputStatistics, Report

_KEYS = (("good", "agreed"), ("bad", "differed"), ("off", "unreadable"))


def page(report: Report, links: Mapping[str, str] | None = None) -> str:
    """The page of one report.

    Args:
        report: what it shows.
        links: addresses by what they lead to, such as the report in other forms; they stand above all.
    """
    parts = [_figures(report), _agreement(report)]
    if report.outputs:
        parts.append(_outputs(report))
    if report.baseline_latency and report.candidate_latency:
        parts.append(_latency(report))
    if report.worst:
        parts.append(_worst(report))
    if report.problems:
        parts.append(_problems(report))
    title = f"{words.headline(report.counts)}: {report.route}, {report.mirror}"
    return elements.page(title, _style(), _header(report, links or {}), tag("main", *parts), _footer(report))


def overview(reports: Sequence[Report], address: Mapping[tuple[str, str], str]) -> str:
    """The page that leads to all reports.

    Args:
        reports: of all pairs.
        address: of each report's page, by route and pair.
    """
    rows = [
        (
            tag("a", f"{each.route}: {each.mirror}", href=address[each.route, each.mirror]),
            words.pair(each),
            words.share(each.counts.agreement),
            words.count(each.counts.agreed),
            words.count(each.counts.differed),
            words.count(each.counts.unreadable),
            words.moment(each.last),
        )
        for each in reports
    ]
    heads = ("Route and mirror", "Models", "Agreement", "Agreed", "Differed", "Unreadable", "Last (UTC)")
    inside = (
        table("All pairs of models whose answers are compared", heads, rows, words=(1,))
        if rows
        else tag("p", "Nothing is compared yet: give a mirror of a route the section `compare`, or a route a canary.")
    )
    header = tag("header", tag("h1", "Comparisons"))
    return elements.page("Comparisons", _style(), header, tag("main", tag("section", inside)))


def _header(report: Report, links: Mapping[str, str]) -> Markup:
    counts = report.counts
    anchors = [tag("a", what, href=where) for what, where in links.items()]
    between = Markup(" · ")
    return tag(
        "header",
        *([tag("nav", *(join([each, between]) for each in anchors[:-1]), anchors[-1])] if anchors else []),
        tag("h1", words.headline(counts), class_=None if counts.compared else "empty"),
        tag("p", words.subject(report)),
        tag("p", f"Answers agree if {words.rule(report.settings)}.", class_="soft"),
    )


def _figures(report: Report) -> Markup:
    counts = report.counts
    shown = {
        "Agreement": words.share(counts.agreement),
        "Agreed": words.count(counts.agreed),
        "Differed": words.count(counts.differed),
        "One side failed": words.count(report.failed),
        "Unreadable": words.count(counts.unreadable),
        "Kept for replay": words.count(report.kept),
    }
    return tag(
        "ul", *(tag("li", tag("span", name), tag("strong", value)) for name, value in shown.items()), class_="figures"
    )


def _agreement(report: Report) -> Markup:
    parts = [tag("h2", "Agreement"), _figure(_keys(_KEYS), charts.total(report.counts))]
    if report.timeline.periods:
        caption = f"Share of answers that differed, over time (UTC); a column is {_width(report.timeline.width)}"
        parts.append(_figure(caption, charts.over_time(report.timeline)))
    return tag("section", *parts)


def _outputs(report: Report) -> Markup:
    heads = [head.capitalize() for head in tabular.OUTPUTS]
    figures = [
        tag(
            "figure",
            tag("h3", name),
            tag("figcaption", _CAPTION),
            charts.errors(name, output, _allowed(report.settings, output)),
        )
        for name, output in sorted(report.outputs.items())
        if output.errors or output.exact or output.infinite
    ]
    return tag(
        "section",
        tag("h2", "Outputs"),
        table("How far each output was off, in all answers", heads, tabular.outputs(report), words=(1,)),
        tag("h2", "Errors", class_="next") if figures else "",
        tag("div", *figures, class_="grid"),
        class_="outputs",
    )


_CAPTION = "Answers by their largest absolute error"


def _latency(report: Report) -> Markup:
    sides = {"baseline": report.baseline_latency, "candidate": report.candidate_latency}
    baseline, candidate = words.sides(report)
    keys = _keys((("baseline", f"baseline: {baseline}"), ("candidate", f"candidate: {candidate} (dashed)")))
    return tag(
        "section",
        tag("h2", "Latency"),
        _figure(keys, latencies(sides)),
        table("Percentiles", tabular.LATENCIES, tabular.latencies(report)),
        tag("p", words.latency_note(report), class_="soft"),
    )


def _worst(report: Report) -> Markup:
    rows = [
        (
            words.case_error(case),
            case.verdict,
            case.reason or words.NOTHING,
            words.instant(case.arrived),
            case.request_id or words.NOTHING,
            words.duration(case.seconds[0]),
            words.duration(case.seconds[1]),
        )
        for case in report.worst
    ]
    heads = ("Error", "Verdict", "Why", "Arrived (UTC)", "Request", "Baseline", "Candidate")
    return tag(
        "section",
        tag("h2", "Worst cases"),
        table(f"The {len(rows)} comparisons with the largest error", heads, rows, words=(1, 2, 3, 4)),
        class_="worst",
    )


def _problems(report: Report) -> Markup:
    rows = [(what, words.count(times)) for what, times in sorted(report.problems.items(), key=lambda item: -item[1])]
    return tag("section", tag("h2", "Failed or unreadable"), table("What was said", ("What", "Times"), rows))


def _footer(report: Report) -> Markup:
    told = f"Requests from {words.moment(report.first)} to {words.moment(report.last)} (UTC). triton-gateway"
    return tag("footer", told)


def _figure(caption: str, drawing: Markup) -> Markup:
    return tag("figure", tag("figcaption", caption), drawing)


def _keys(keys: Iterable[tuple[str, str]]) -> Markup:
    """What the colours mean."""
    return tag("span", *(tag("span", tag("i", class_=f"key {kind}"), what) for kind, what in keys), class_="keys")


def _allowed(settings: Mapping[str, Any], output: OutputStatistics) -> float | None:
    """The absolute error that is allowed, where an output is judged by it: others than floats are to be equal."""
    floats = output.datatype.startswith(("FP", "BF"))
    if settings.get("by") != "max_error" or not floats:
        return None
    return float(settings.get("absolute") or 0) or None


def _width(seconds: int) -> str:
    return (
        f"{seconds} s" if seconds < 120 else f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"
    )


def _style() -> str:
    return files("gateway.tap.report").joinpath("style.css").read_text(encoding="utf-8")
