"""A build as one HTML page with charts: no other files, no scripts, for every screen, in light and dark."""

from __future__ import annotations

from importlib.resources import files

from converters.build.results import BuildResult, ModelResult
from converters.report import words
from converters.report.cards import model_card, problem_box
from converters.report.elements import Html, badge, element, table
from converters.report.summary import Totals, Trouble, totals, troubles

_NOTHING = Html("")
_HEADINGS = ("Model", "Variant", "Status", "Cosine", "Mean rel. error", "Top-1", "Size", "Speed-up", "Results")


def page(result: BuildResult) -> str:
    """The whole page."""
    counts = totals(result)
    body = element(
        "body",
        _header(result, counts),
        element(
            "main",
            _tiles(counts),
            _troubles(troubles(result)),
            _overview(result),
            *(model_card(model, f"model-{number}") for number, model in enumerate(result.models)),
            _tools(result),
        ),
    )
    head = element(
        "head",
        Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html('<meta name="color-scheme" content="light dark">'),
        element("title", f"{counts.headline}: conversions of {result.started_at[:10]}"),
        element("style", Html(_style())),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _header(result: BuildResult, counts: Totals) -> Html:
    return element(
        "header",
        element("p", "triton-convert", class_="brand"),
        element("h1", counts.headline),
        element("p", f"{result.started_at.replace('T', ' ')} on {result.machine}"),
        class_="top " + ("passed" if result.passed else "failed"),
    )


def _tiles(counts: Totals) -> Html:
    tiles = (
        ("Models", _of(counts.models, counts.failed_models), _failed(counts.failed_models)),
        ("Variants", _of(counts.variants, counts.failed_variants), _failed(counts.failed_variants)),
        ("Results", _of(counts.results, counts.failed_results), f"{counts.known} known already"),
        ("Published", str(counts.new), "new versions" if counts.new != 1 else "new version"),
        ("Steps", str(counts.steps), f"{counts.cached_steps} known already"),
        ("Time", words.duration(counts.seconds), "wall clock"),
    )
    drawn = (
        element("li", element("span", name), element("strong", value), element("span", note))
        for name, value, note in tiles
    )
    return element("ul", *drawn, class_="tiles", aria_label="Summary")


def _of(number: int, failed: int) -> str:
    return f"{number - failed}/{number}" if failed else str(number)


def _failed(number: int) -> str:
    return f"{number} failed" if number else "none failed"


def _troubles(found: tuple[Trouble, ...]) -> Html:
    if not found:
        return _NOTHING
    boxes = (
        problem_box(trouble.problem, trouble.verdict, element("h3", " · ".join(trouble.place))) for trouble in found
    )
    return element("section", element("h2", "What failed"), *boxes, class_="card")


def _overview(result: BuildResult) -> Html:
    rows = [row for number, model in enumerate(result.models) for row in _rows(model, f"#model-{number}")]
    if not rows:
        return element("section", element("p", "The configuration names no models."), class_="card")
    return element("section", element("h2", "Overview"), table("All variants", _HEADINGS, rows, 0), class_="card")


def _rows(model: ModelResult, link: str) -> list[tuple[str, ...]]:
    name = element("a", model.name, href=link)
    if not model.variants:
        status = badge("failed" if model.problem else "not judged")
        return [(name, words.NOTHING, status, *([words.NOTHING] * (len(_HEADINGS) - 3)))]
    rows = list[tuple[str, ...]]()
    for variant in model.variants:
        worst = variant.verdict.worst_output if variant.verdict else None
        ratio = words.smaller(model.bytes_before, variant.bytes_after)
        done = sum(built.problem is None for built in variant.built)
        rows.append(
            (
                name,
                variant.name,
                badge(words.status(variant)),
                words.cosine(worst.cosine) if worst else words.NOTHING,
                words.figure(worst.mean_rel) if worst else words.NOTHING,
                words.share(worst.top1) if worst else words.NOTHING,
                f"{words.size(variant.bytes_after)}, {ratio}" if variant.bytes_after else words.NOTHING,
                words.speedup(words.latency(variant)),
                f"{done} of {len(variant.built)}",
            )
        )
    return rows


def _tools(result: BuildResult) -> Html:
    if not result.versions:
        return _NOTHING
    versions = table("Versions of the tools that took part", ("Tool", "Version"), result.versions.items())
    return element("section", element("h2", "Tools"), versions, class_="card")


def _style() -> str:
    return files("converters.report").joinpath("report.css").read_text(encoding="utf-8")
