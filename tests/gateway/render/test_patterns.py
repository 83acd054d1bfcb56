import re
from fnmatch import fnmatchcase

import pytest

from gateway.render.patterns import match_of, regex_of


@pytest.mark.parametrize(
    ("pattern", "match"),
    [
        ("team-a", ("exact", "team-a")),
        ("team-*", ("prefix", "team-")),
        ("*.example.com", ("regex", r".*\.example\.com")),
        ("a?[!bc]", ("regex", "a.[^bc]")),
    ],
)
def test_the_plainest_is_taken(pattern: str, match: tuple[str, str]) -> None:
    assert match_of(pattern) == match


@pytest.mark.parametrize("pattern", ["a*b", "x.[0-9]?", "*", "[!a]*", "(a|b)", "a[b"])
@pytest.mark.parametrize("text", ["ab", "axxb", "x.5z", "bcd", "(a|b)", "a", "a[b", ""])
def test_a_regular_expression_says_the_same(pattern: str, text: str) -> None:
    assert bool(re.fullmatch(regex_of(pattern), text)) == fnmatchcase(text, pattern)
