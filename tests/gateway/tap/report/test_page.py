import re
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from gateway.tap.report.model import Report
from gateway.tap.report.page import overview, page
from tests.gateway.tap.report.reports import empty, full

VOID = {"meta"}


class Reader(HTMLParser):
    """Reads a page; every element that is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def count(self, tag: str) -> int:
        return sum(seen == tag for seen, _ in self.seen)


@pytest.mark.parametrize("report", [empty(), full()])
def test_a_page_needs_nothing_else(report: Report) -> None:
    read = Reader(page(report))
    assert read.count("script") == read.count("link") == read.count("img") == 0
    assert not re.search(r"https?://|url\(|@import", page(report))
    assert not [name for _, attributes in read.seen for name in attributes if name.startswith("on")]
    assert read.count("h1") == 1


def test_every_part_is_there() -> None:
    text = page(full(), {"JSON": "/v1/x"})
    for part in ("Agreement", "Outputs", "Errors", "Latency", "Worst cases", "Failed or unreadable"):
        assert re.search(rf"<h2[^>]*>{part}</h2>", text)
    read = Reader(text)
    assert read.count("svg") == 2 + 2 + 1  # of the three outputs, texts have no errors
    assert '<nav><a href="/v1/x">JSON</a></nav>' in text
    assert all(attributes["aria-label"] for tag, attributes in read.seen if tag == "svg")


def test_what_is_allowed_is_marked_where_it_counts() -> None:
    assert page(full()).count(">allowed<") == 1  # not for the integers
    other = full()
    other.settings["by"] = "cosine"
    assert ">allowed<" not in page(other)


def test_an_empty_page_says_so() -> None:
    text = page(empty())
    assert '<h1 class="empty">Nothing compared yet</h1>' in text
    assert Reader(text).count("svg") == 1


def test_a_replay_says_nothing_of_copies() -> None:
    report = full()
    assert "A copy runs beside its original" in page(report)
    report.route, report.mirror, report.replayed = "Replay of log", "b against a", True
    assert "<p>Replay of log: b against a</p>" in page(report)
    assert "A copy" not in page(report)


def test_names_never_become_markup() -> None:
    odd = '</style><script>alert(1)</script>"onload="x'
    report = full(odd)
    report.route, report.mirror, report.settings["ignore"] = odd, odd, [odd]
    for text in (page(report, {odd: odd}), overview([report], {(odd, odd): odd})):
        read = Reader(text)
        assert read.count("script") == 0
        assert not [name for _, attributes in read.seen for name in attributes if name.startswith("on")]


def test_all_reports_are_listed() -> None:
    text = overview([full()], {("ocr", "ocr-2"): "/comparisons/ocr/ocr-2"})
    assert '<a href="/comparisons/ocr/ocr-2">ocr: ocr-2</a>' in text
    assert "ocr-2 version 2 against ocr" in text
    assert "Nothing is compared yet" in overview([], {})


def luminance(colour: str) -> float:
    digits = colour if len(colour) == 7 else "#" + "".join(2 * each for each in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_can_be_told_apart(scheme: str) -> None:
    style = files("gateway.tap.report").joinpath("style.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    colours = dict(re.findall(r"--([\w]+): (#\w+)", blocks[scheme == "dark"]))

    def contrast(first: str, second: str) -> float:
        low, high = sorted((luminance(colours[first]), luminance(colours[second])))
        return (high + 0.05) / (low + 0.05)

    for text in ("ink", "soft", "link", "baseline", "candidate", "bad"):
        assert contrast(text, "card") >= 4.5
    for text in ("ink", "soft", "link"):
        assert contrast(text, "back") >= 4.5
    for shape in ("good", "bad", "off", "baseline", "candidate"):
        assert contrast(shape, "card") >= 3
