"""Names of Python for names of models and tensors, which may be any text."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable


def class_name(name: str) -> str:
    """A class's name for a model: `my-model_v2` is `MyModelV2`."""
    words = re.findall(r"[A-Za-z0-9]+", name)
    joined = "".join(word[0].upper() + word[1:] for word in words)
    return joined if joined[:1].isalpha() and not keyword.iskeyword(joined) else f"Model{joined}"


def identifiers(names: Iterable[str], reserved: Iterable[str], prefix: str) -> dict[str, str]:
    """A different identifier for each name: the name itself where that is one, and else as near to it as can be.

    Args:
        names: different from each other.
        reserved: identifiers that are taken.
        prefix: begins an identifier whose name has nothing to begin with, such as "input".
    """
    taken = set(reserved)
    found: dict[str, str] = {}
    for name in sorted(names, key=lambda name: not _is_usable(name)):  # names that are identifiers keep theirs
        base = _near(name, prefix)
        chosen, number = base, 2
        while chosen in taken or not _is_usable(chosen):
            chosen = f"{base}_{number}" if chosen in taken else f"{base}_"
            number += chosen in taken
        taken.add(chosen)
        found[name] = chosen
    return found


def _is_usable(name: str) -> bool:
    return name.isidentifier() and name.isascii() and not keyword.iskeyword(name) and not name.startswith("_")


def _near(name: str, prefix: str) -> str:
    base = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") if not _is_usable(name) else name
    return base if base[:1].isalpha() else f"{prefix}_{base}".rstrip("_")
