"""What the text of a `config.pbtxt` says, as far as it matters before Triton reads it.

Not a parser of protobuf's text format: a scanner that knows strings, comments and brackets, and looks at a few fields.
What it cannot make sense of it leaves to Triton, which says what is wrong.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

_TOKEN = re.compile(
    r"""
      \#[^\n]*                                                  # a comment
    | "(?P<double>(?:[^"\\\n]|\\.)*)" | '(?P<single>(?:[^'\\\n]|\\.)*)'
    | (?P<open>[{\[<]) | (?P<close>[}\]>])
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    """,
    re.VERBOSE,
)

_TENSORS = ("input", "output")


def top_level_strings(text: str) -> Iterator[tuple[str, str]]:
    """Each field at the top level whose value is a string, and that string as it is written."""
    field = None
    for depth, kind, value in _tokens(text):
        if depth == 0 and kind == "word":
            field = value
        elif depth == 0 and kind in ("double", "single") and field:
            yield field, value
            field = None


def is_complete(text: str) -> bool:
    """Whether the configuration gives everything that Triton could otherwise ask the model's backend for.

    That is `max_batch_size`, and the name, datatype and dims of at least one input and one output and of all that
    are given. When in doubt the answer is no, which costs nothing but time.
    """
    field, fields = "", set[str]()
    inside: dict[str, Counter[str]] = {section: Counter() for section in _TENSORS}
    for depth, kind, value in _tokens(text):
        if kind == "word" and depth == 0:
            field = value
            fields.add(field)
        elif kind == "word" and field in inside:
            inside[field][value] += 1
    whole = (
        words["name"] >= 1 and words["name"] == words["data_type"] == words["dims"] and "reshape" not in words
        for words in inside.values()
    )
    return "max_batch_size" in fields and all(whole)


def _tokens(text: str) -> Iterator[tuple[int, str, str]]:
    """Words, strings and brackets with how deep in brackets they stand; comments are passed over."""
    depth = 0
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if kind is None:
            continue
        depth -= kind == "close"
        yield depth, kind, token[kind]
        depth += kind == "open"
