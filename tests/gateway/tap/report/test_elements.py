from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tap.report.elements import Markup, join, page, table, tag, text


def test_elements_hold_texts_and_elements() -> None:
    inside = tag("b", "1 < 2")
    assert tag("p", "a & b ", inside, class_="x", tabindex=0, title=None) == (
        '<p class="x" tabindex="0">a &amp; b <b>1 &lt; 2</b></p>'
    )
    assert tag("a", "there", href='"?"', aria_label="x") == '<a href="&quot;?&quot;" aria-label="x">there</a>'
    assert join(["<", Markup("<br>")]) == "&lt;<br>"


@given(st.text())
def test_no_text_becomes_markup(content: str) -> None:
    found = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            found.append(tag)

    reader = Reader()
    reader.feed(tag("p", content, title=content))
    assert found == ["p"]
    assert all(each.isprintable() for each in text(content))


def test_tables_say_what_is_what() -> None:
    written = table("All", ("name", "type", "n"), [("a", "b", "1")], words=(1,))
    assert "<caption>All</caption>" in written
    assert '<th scope="row">a</th><td>b</td><td class="number">1</td>' in written
    with pytest.raises(ValueError, match="shorter"):
        table("All", ("name", "n"), [("a", "b", "c")])


def test_a_page_is_whole() -> None:
    written = page("<t>", "p {}", tag("p", "x"))
    assert written.startswith('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">')
    assert "<title>&lt;t&gt;</title><style>p {}</style></head><body><p>x</p></body></html>" in written
