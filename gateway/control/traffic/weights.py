"""The weights of a route's targets: those of the configuration, and whether others may take their place; pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

from gateway.control.traffic.refusals import Refused, not_there
from gateway.traffic.sections import HUNDRED, RouteSection

_CLOSE = 1e-6


def targets_of(route: RouteSection) -> list[str]:
    """The names of its targets; a route that names none has the model of its own name."""
    return [target.label for target in route.targets] or [route.model]


def configured(route: RouteSection) -> dict[str, float]:
    """Percent by target, as the configuration has it; with a canary, before that has begun."""
    names = targets_of(route)
    if route.canary is not None:
        return {name: 0.0 if name == route.canary.candidate else HUNDRED for name in names}
    if len(names) == 1:
        return {names[0]: HUNDRED}
    return {target.label: target.weight or 0.0 for target in route.targets}


def checked(route: RouteSection, weights: Mapping[str, float]) -> dict[str, float]:
    """These weights for every target; one that is left out gets nothing.

    Raises:
        Refused: they fit no target, or do not sum to 100.
    """
    names = targets_of(route)
    for name, weight in weights.items():
        if name not in names:
            raise not_there(f"target of route {route.label!r} called", name, names)
        if not (math.isfinite(weight) and 0 <= weight <= HUNDRED):
            raise Refused(f"the weight of {name!r} is {weight:g}; give a percentage from 0 to 100")
    total = math.fsum(weights.values())
    if abs(total - HUNDRED) > _CLOSE:
        sum_of = " + ".join(f"{name}={weight:g}" for name, weight in weights.items()) or "nothing"
        raise Refused(f"the weights of route {route.label!r} must sum to 100, and {sum_of} is {total:g}")
    return {name: float(weights.get(name, 0.0)) for name in names}


def told(weights: Mapping[str, float]) -> str:
    """The same for people, such as `iris-1 90 %, iris-2 10 %`."""
    return ", ".join(f"{name} {weight:g} %" for name, weight in weights.items())
