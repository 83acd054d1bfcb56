"""What the text of a `config.pbtxt` says, as far as it matters before Triton reads it.

Not a parser of protobuf's text format: a scanner that knows strings, comments and brackets, and looks at a few fields.
What it cannot make sense of it leaves to Triton, which says what is wrong.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import takewhile

_TOKEN = re.compile(
    r"""
      \#[^\n]*                                                  # a comment
    | "(?P<double>(?:[^"\\\n]|\\.)*)" | '(?P<single>(?:[^'\\\n]|\\.)*)'
    | (?P<open>[{\[<]) | (?P<close>[}\]>])
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    """,
    re.VERBOSE,
)

_EMPTY_DIMS = re.compile(r"\bdims\s*:?\s*\[\s*\]")
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


def top_level_fields(text: str) -> frozenset[str]:
    """The names of all fields at the top level."""
    return frozenset(value for depth, kind, value in _tokens(text) if depth == 0 and kind == "word")


def with_top_level_string(text: str, field: str, value: str) -> str:
    """The same text with another string in a field at the top level; put in front where there is no such field.

    Everything else stays as it is written.
    """
    tokens = [token for token in _TOKEN.finditer(text) if token.lastgroup]
    depths = [depth for depth, _, _ in _tokens(text)]
    for index, (token, depth) in enumerate(zip(tokens, depths, strict=True)):
        if depth == 0 and token["word"] == field:
            # Adjacent strings are one, as in C.
            strings = list(
                takewhile(lambda each: each["double"] is not None or each["single"] is not None, tokens[index + 1 :])
            )
            if strings:
                return f"{text[: strings[0].start()]}{quoted(value)}{text[strings[-1].end() :]}"
    return f"{field}: {quoted(value)}\n{text}"


def quoted(value: str) -> str:
    """A string as the text format writes it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(each if each.isprintable() else _octal(each) for each in escaped) + '"'


def _octal(character: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in character.encode())


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
    whole = (words["name"] >= 1 and words["name"] == words["data_type"] == words["dims"] for words in inside.values())
    return "max_batch_size" in fields and all(whole) and not _EMPTY_DIMS.search(text)


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
