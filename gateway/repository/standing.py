"""How a model stands, from how it is at each Triton; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from gateway.repository.site import ModelState, SiteModel

_WORST_FIRST = (ModelState.FAILED, ModelState.HEALING, ModelState.LOADING, ModelState.WAITING, ModelState.UNLOADED)
_FIELDS = tuple(each.name for each in fields(SiteModel))


def as_dict(model: SiteModel) -> dict[str, Any]:
    """Quicker than `asdict`, for a thousand models ten times a second."""
    return {name: getattr(model, name) for name in _FIELDS}


def standing(problem: str, sites: Mapping[str, Mapping[str, Any]], waiting: str) -> dict[str, str]:
    """State and reason: what is wrong with the model's folder, or else the worst of what its sites say.

    Args:
        problem: why it may not be served; empty if it may.
        sites: how it is at each, as `as_dict` has it.
        waiting: what it waits for, if nothing is wrong.
    """
    if problem:
        return {"state": "refused", "reason": problem}
    for state in _WORST_FIRST:
        for site in sites.values():
            if site["state"] == state:
                return {"state": str(state), "reason": site["reason"]}
    return {"state": "ready" if sites else "waiting", "reason": waiting}
