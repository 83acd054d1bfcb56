"""What a repository index of Triton says, and what its messages mean; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from gateway.repository.model_control import IndexRow

Rows = Mapping[str, Sequence[IndexRow]]
"""A repository index by the names of models."""


def by_model(index: Iterable[IndexRow]) -> Rows:
    """The rows of each model."""
    rows: dict[str, list[IndexRow]] = defaultdict(list)
    for row in index:
        rows[row.name].append(row)
    return dict(rows)


def ready_versions(rows: Iterable[IndexRow]) -> tuple[int, ...]:
    """The versions of a model that answer requests, ascending."""
    return tuple(sorted(int(row.version or 0) for row in rows if row.state == "READY"))


def is_changing(rows: Iterable[IndexRow]) -> bool:
    """Whether a version of a model comes or goes just now."""
    return any(row.state in ("LOADING", "UNLOADING") for row in rows)


def was_unloaded(rows: Sequence[IndexRow]) -> bool:
    """Whether no version of a model is left that is served, comes or goes, and somebody wanted that.

    What could not be loaded has another reason, and what was never loaded has no state.
    """
    return all(row.state == "UNAVAILABLE" for row in rows) and any(row.reason == "unloaded" for row in rows)


def cause_in(rows: Iterable[IndexRow]) -> str | None:
    """Why a version of a model could not be loaded; None if the index does not say."""
    return next((row.reason for row in rows if row.reason and row.reason != "unloaded"), None)


def reason_of(message: str) -> str:
    """Triton's message without its wrapping: what is wrong, without where in Triton it was noticed."""
    reason = message.strip().rstrip(";").strip()
    for marker in (" state: ", "Internal: ", "Invalid argument: ", "TritonModelException: "):
        if marker in reason:
            reason = reason.partition(marker)[2]
    return reason.partition("\n\nAt:\n")[0].strip().rstrip(";")
