"""A model's name in Triton's words about an error."""

from __future__ import annotations

import re
from functools import lru_cache

_REMEMBERED = 256


@lru_cache(_REMEMBERED)
def _quoted(real: bytes) -> re.Pattern[bytes]:
    """The name in quotes behind what it is; an instance's name is its model's with numbers behind."""
    name = re.escape(real)
    return re.compile(
        rb"""((?:models?|ensemble):? \\?['"`])""" + name + rb"""(?=\\?['"`])"""
        rb"""|(model instance:? \\?['"`])""" + name + rb"""(?=(?:_\d+)+\\?['"`])"""
    )


def rename(words: bytes, real: str, model: str) -> bytes:
    """`words` in which `model` is named for `real`, where that stands in quotes behind the word model.

    Args:
        words: an error message of Triton's, or the JSON that holds it.
        real: the name that Triton knows.
        model: the name that the client knows.
    """
    if real == model:
        return words
    public = model.encode()
    return _quoted(real.encode()).sub(lambda found: (found[1] or found[2]) + public, words)
