"""The shell's patterns as what Kubernetes' resources have instead: exact texts, prefixes, regular expressions (RE2)."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Kind = Literal["exact", "prefix", "regex"]
_SPECIAL = re.compile(r"[*?\[]")
_CLASS = re.compile(r"\[(!?)([^\]]+)\]")


class Match(NamedTuple):
    """What a text must be."""

    kind: Kind
    value: str


def match_of(pattern: str) -> Match:
    """The plainest that says the same as a pattern of the shell's."""
    if not _SPECIAL.search(pattern):
        return Match("exact", pattern)
    if pattern.endswith("*") and not _SPECIAL.search(pattern[:-1]):
        return Match("prefix", pattern[:-1])
    return Match("regex", regex_of(pattern))


def regex_of(pattern: str) -> str:
    """The same as a regular expression for the whole text."""
    said, position = "", 0
    while position < len(pattern):
        char = pattern[position]
        found = _CLASS.match(pattern, position) if char == "[" else None
        if found:
            said += f"[{'^' if found[1] else ''}{found[2]}]"
            position = found.end()
            continue
        said += {"*": ".*", "?": "."}.get(char) or re.escape(char)
        position += 1
    return said
