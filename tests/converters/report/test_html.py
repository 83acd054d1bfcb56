import re
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from converters.build.results import BuildResult
from converters.report.html import page
from tests.converters.report.builds import everything, passing, result

VOID = {"meta", "br"}


class Balanced(HTMLParser):
    """Fails on a tag that is not closed, and gathers what the page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.open = list[str]()
        self.tags = list[str]()
        self.attributes = list[tuple[str, str | None]]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(build: BuildResult) -> Balanced:
    parser = Balanced()
    parser.feed(page(build))
    parser.close()
    assert parser.open == []
    return parser


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    parser = read(everything())
    assert parser.tags.count("h1") == 1
    assert parser.tags.count("article") == 5
    assert not {"script", "link", "img", "iframe"} & set(parser.tags)
    links = [value for name, value in parser.attributes if name in {"href", "src"}]
    assert links
    assert all(value and value.startswith("#") for value in links)
    assert "url(" not in page(everything())
    assert "@import" not in page(everything())


def test_links_lead_to_their_models() -> None:
    parser = read(everything())
    ids = {value for name, value in parser.attributes if name == "id"}
    assert {f"#{each}" for each in ids} == {value for name, value in parser.attributes if name == "href"}


def test_nothing_from_outside_becomes_markup() -> None:
    text = page(everything())
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "\x07" not in text


def test_every_chart_is_told_to_screen_readers() -> None:
    text = page(everything())
    assert "<svg" in text
    assert all("<title>" in svg and "<desc>" in svg for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert text.count("<table>") == text.count("<caption>")


def test_failures_stand_before_everything_else() -> None:
    text = page(everything())
    assert text.index("What failed") < text.index("Overview") < text.index('id="model-0"')
    assert "What failed" not in page(result(passing()))


def test_an_empty_build_has_a_page_too() -> None:
    read(result())
    assert "The configuration names no models." in page(result())


def luminance(colour: str) -> float:
    parts = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("text", "back"),
    [
        ("text", "card"), ("text", "page"), ("quiet", "card"), ("quiet", "page"), ("quiet", "track"),
        ("accent", "card"),
        ("good", "good-back"), ("bad", "bad-back"), ("bad", "card"), ("open", "open-back"), ("text", "bad-back"),
    ],
)  # fmt: skip
def test_text_can_be_read_on_its_background(theme: int, text: str, back: str) -> None:
    style = files("converters.report").joinpath("report.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", style.split("@media (prefers-color-scheme: dark)")[theme]))
    low, high = sorted((luminance(colours[text]), luminance(colours[back])))
    assert (high + 0.05) / (low + 0.05) >= 4.5
