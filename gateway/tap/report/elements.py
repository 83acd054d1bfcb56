"""HTML and SVG as text: whatever is not an element already is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, *content: str, **attributes: object) -> Markup:
    """One element.

    Args:
        name: of the element.
        content: `Markup`, or text that is escaped.
        attributes: by name, with `_` for `-` and `_` behind words that Python keeps to itself; None leaves one out.
    """
    said = [
        f' {key.rstrip("_").replace("_", "-")}="{text(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    ]
    return Markup(f"<{name}{''.join(said)}>{join(content)}</{name}>")


def join(content: Iterable[str]) -> Markup:
    """Several elements or texts, one after the other."""
    return Markup("".join(each if isinstance(each, Markup) else text(each) for each in content))


def text(content: str) -> str:
    """Text without meaning for HTML, and without characters that HTML cannot hold."""
    return escape("".join(each if each.isprintable() else " " for each in content))


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], words: Sequence[int] = ()) -> Markup:
    """A table that scrolls by itself where the page is narrow.

    Args:
        caption: what it shows.
        heads: of the columns; the first names each row.
        rows: of cells.
        words: the columns beside the first that are read as text; the others are numbers, and stand on the right.
    """
    kinds = [None if column == 0 or column in words else "number" for column in range(len(heads))]
    head = [tag("th", each, scope="col", class_=kind) for each, kind in zip(heads, kinds, strict=True)]
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            *(tag("td", cell, class_=kind) for cell, kind in zip(row[1:], kinds[1:], strict=True)),
        )
        for row in rows
    ]
    inside = tag("table", tag("caption", caption), tag("thead", tag("tr", *head)), tag("tbody", *body))
    return tag("div", inside, class_="wide", role="region", aria_label=caption, tabindex=0)


def page(title: str, style: str, *content: str) -> str:
    """A whole page that needs nothing else."""
    head = tag(
        "head",
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup('<meta name="color-scheme" content="light dark">'),
        tag("title", title),
        tag("style", Markup(style)),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, tag('body', *content), lang='en')}\n"
