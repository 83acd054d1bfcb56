"""Which endpoint has which model ready, from repository indexes; pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from gateway.core.call import Body

Ready = frozenset[tuple[str, str]]
"""(model, version) pairs; ("m", "") says that some version of m is ready."""


class Holder(Protocol):
    """What has models ready."""

    ready: Ready | None


H = TypeVar("H", bound=Holder)


def ready_models(index: Body) -> Ready | None:
    """The model versions that a repository index (Triton's JSON) shows as ready; None if it is no such index."""
    try:
        rows = json.loads(index)
        ready = [(str(row["name"]), str(row.get("version", ""))) for row in rows if row.get("state") == "READY"]
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return frozenset(ready) | {(name, "") for name, _ in ready}


def holders(endpoints: Iterable[H]) -> dict[tuple[str, str], Sequence[H]]:
    """For each model version that anybody has ready: those who have, in their order."""
    found: dict[tuple[str, str], list[H]] = {}
    for endpoint in endpoints:
        for key in endpoint.ready or ():
            found.setdefault(key, []).append(endpoint)
    return {key: tuple(who) for key, who in found.items()}
