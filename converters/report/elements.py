"""HTML and SVG elements: whatever is not an element itself is escaped, so no name can become markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from converters.report.words import clean


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def element(name: str, *children: str, **attributes: object) -> Html:
    """One element.

    Args:
        name: of the element.
        children: its content; plain strings are escaped, `Html` is taken as it is.
        attributes: by name, with `_` for `-` and one at the end for words of Python; those that are None are left out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_escaped(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{written}>{joined(children)}</{name}>")


def joined(children: Iterable[str], between: str = "") -> Html:
    """Elements and texts one after another."""
    return Html(between.join(child if isinstance(child, Html) else _escaped(child) for child in children))


def table(caption: str, headings: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> Html:
    """A table that scrolls sideways where the screen is too narrow for it.

    Args:
        caption: what it shows.
        headings: of its columns.
        rows: of cells, as many as headings; a row's first is its heading.
        numbers: how many of the columns after the first hold numbers, which are aligned right.
    """
    kinds = [None, *(["n"] * numbers), *([None] * (len(headings) - numbers - 1))]
    head = (element("th", text, scope="col", class_=kind) for text, kind in zip(headings, kinds, strict=True))
    body = (
        element(
            "tr",
            element("th", row[0], scope="row"),
            *(element("td", cell, class_=kind) for cell, kind in zip(row[1:], kinds[1:], strict=True)),
        )
        for row in rows
    )
    inner = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *head)),
        element("tbody", *body),
    )
    return element("div", inner, class_="scroll", role="region", tabindex=0, aria_label=caption)


def folded(summary: str, *children: str) -> Html:
    """Content that is shown only when somebody opens it."""
    return element("details", element("summary", summary), *children)


def badge(word: str) -> Html:
    """A status as a coloured word."""
    return element("span", word, class_=f"badge {word.replace(' ', '-')}")


def code(text: str) -> Html:
    """A name from a model, a file or a configuration."""
    return element("code", text)


def _escaped(text: str) -> str:
    return escape(clean(text))
