"""Why a change of traffic is refused."""

from __future__ import annotations

from collections.abc import Collection

from gateway.core.errors import InvalidRequest
from gateway.repository.catalog import nearest


class Refused(InvalidRequest):
    """What was asked makes no sense; nothing was changed."""


class NotThere(Refused):
    """It names something that does not exist."""


class NotNow(Refused):
    """It makes sense, but not in the state that things are in."""


def not_there(kind: str, name: str, known: Collection[str]) -> NotThere:
    """There is no such thing: said with the name that was probably meant.

    Args:
        kind: what it should have been, such as "route".
        name: what was asked for.
        known: what there is.
    """
    near = nearest(name, known)
    if near:
        return NotThere(f"there is no {kind} {name!r}; did you mean {near!r}?")
    listed = ", ".join(sorted(known)[:20])
    return NotThere(f"there is no {kind} {name!r}; " + (f"there are: {listed}" if listed else "there is none at all"))
