"""What somebody may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_SHOWN = 12


def nearest(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """A hint: the nearest known name; where none is near, what to do otherwise, or all names if they are few."""
    names = list(known)
    if close := difflib.get_close_matches(name, names, n=1, cutoff=0.5):
        return f"did you mean {close[0]!r}?"
    if otherwise:
        return otherwise
    shown = names if len(names) <= _SHOWN else [*names[: _SHOWN - 1], f"and {len(names) - _SHOWN + 1} more"]
    return f"known here: {', '.join(shown) or 'none'}"
