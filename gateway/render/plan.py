"""What a mesh can do of the configured routes, whichever mesh it is.

A mesh sees the path of an HTTP inference, which names the model, and can share such requests out by weight. It cannot
rewrite the path differently for each share, so it marks each request with the target that it chose (`TARGET_HEADER`),
and the gateway goes by the mark. gRPC names its model in the message, where no mesh looks: such requests go by the
gateway's own weights, as do routes that keep each client at one target.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import lcm
from typing import Any

from gateway.traffic.sections import HUNDRED, HeadersSection, PoliciesSection, RouteSection, TrafficSection

TARGET_HEADER = "x-triton-gateway-target"
OPERATIONS = ("infer", "generate", "generate_stream")
_FINEST = 1000  # parts of a percent; the resources take whole numbers up to a million


@dataclass(frozen=True, slots=True)
class Share:
    """One of the targets that requests are shared out to.

    Attributes:
        target: its name.
        weight: its part, a whole number; the parts need not sum to 100.
    """

    target: str
    weight: int


@dataclass(frozen=True, slots=True)
class Rule:
    """What the mesh does with the requests of one route.

    Attributes:
        name: of the route.
        paths: of the requests, each matched as a whole.
        hosts: patterns of the host that was called; empty for any.
        headers: patterns of headers, all of which must fit.
        shares: where they go; a single one means that nothing is shared out.
        timeout_seconds: how long a request may take; None for as long as else.
        request_headers: how they are changed on their way.
        reply_headers: how replies are.
    """

    name: str
    paths: tuple[str, ...]
    hosts: tuple[str, ...]
    headers: Mapping[str, str]
    shares: tuple[Share, ...]
    timeout_seconds: float | None
    request_headers: HeadersSection
    reply_headers: HeadersSection


@dataclass(frozen=True, slots=True)
class Plan:
    """Who does what.

    Attributes:
        rules: the mesh's part, in their order.
        routes: the gateway's part: its `traffic.routes`, as plain values.
        notes: what a person should know.
    """

    rules: tuple[Rule, ...]
    routes: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]


def plan(section: TrafficSection, canary_percent: float | None = None) -> Plan:
    """Share the work out.

    Args:
        section: what is configured.
        canary_percent: what the candidate of a canary gets; default: its first step.
    """
    rules: list[Rule] = []
    routes: list[Mapping[str, Any]] = []
    notes: list[str] = []
    for route in section.routes:
        reason = _why_not(route, section)
        if reason:
            notes.append(f"{route.label}: the gateway's own, because {reason}")
        else:
            shares = _shares(route, canary_percent)
            rules.append(_rule(route, section, shares))
            routes += _marked(route)
            notes += _notes(route, shares)
        routes.append(_plain(route))
    return Plan(tuple(rules), tuple(routes), tuple(notes))


def _why_not(route: RouteSection, section: TrafficSection) -> str:
    if len(route.targets) < 2:
        return "it has one target and nothing to share out"
    if route.sticky:
        return "it keeps each client at one target (`sticky`), and the weights of a mesh do not"
    if route.when is not None and route.when.tenants and section.tenant_header is None:
        return "it is for some tenants, and no header names them (traffic.tenant_header)"
    if route.when is not None and len(route.when.tenants) > 1:
        return "it is for several patterns of tenants, and a mesh wants all that is said to fit"
    return ""


def _shares(route: RouteSection, canary_percent: float | None) -> tuple[Share, ...]:
    canary = route.canary
    if canary is None:
        percents = {target.label: target.weight or 0.0 for target in route.targets}
    else:
        candidate = canary.steps[0] if canary_percent is None else canary_percent
        percents = {t.label: candidate if t.label == canary.candidate else HUNDRED - candidate for t in route.targets}
    exact = {label: Fraction(percent).limit_denominator(_FINEST) for label, percent in percents.items()}
    whole = reduce(lcm, (share.denominator for share in exact.values()), 1)
    return tuple(Share(label, int(share * whole)) for label, share in exact.items())


def _rule(route: RouteSection, section: TrafficSection, shares: tuple[Share, ...]) -> Rule:
    when = route.when
    headers = dict(when.headers) if when else {}
    if when and when.tenants and section.tenant_header is not None:
        headers[section.tenant_header] = when.tenants[0]
    prefix = when.path_prefix if when else ""
    policies = route.policies
    return Rule(
        name=route.label,
        paths=tuple(f"{prefix}/v2/models/{route.model}/{operation}" for operation in OPERATIONS),
        hosts=when.hosts if when else (),
        headers=headers,
        shares=shares,
        timeout_seconds=policies.timeout_seconds,
        request_headers=policies.request_headers,
        reply_headers=policies.reply_headers,
    )


def _marked(route: RouteSection) -> Iterable[Mapping[str, Any]]:
    """A route of the gateway's for each mark; what the mesh does already is left out."""
    told = _plain(route)
    by_mesh = {"timeout_seconds", "request_headers", "reply_headers"}
    policies = {key: value for key, value in told.get("policies", {}).items() if key not in by_mesh}
    for target in route.targets:
        marked = {
            "name": f"{route.label}.{target.label}",
            "model": route.model,
            "when": {"headers": {TARGET_HEADER: target.label}},
            "targets": [target.model_dump(mode="json", exclude_defaults=True, exclude={"weight"})],
        }
        mirrors = {"mirrors": told["mirrors"]} if "mirrors" in told else {}
        yield marked | mirrors | ({"policies": policies} if policies else {})


def _plain(route: RouteSection) -> dict[str, Any]:
    told: dict[str, Any] = route.model_dump(mode="json", exclude_defaults=True)
    return told


def _notes(route: RouteSection, shares: tuple[Share, ...]) -> Iterable[str]:
    if route.canary is not None:
        total = sum(share.weight for share in shares)
        percent = next(100 * share.weight / total for share in shares if share.target == route.canary.candidate)
        yield (
            f"{route.label}: its canary is at {percent:g} % here and stays there: a mesh takes nothing back by itself. "
            "Render again for another step (--canary-percent), or leave the split to the gateway"
        )
    if route.policies.model_copy(update={"timeout_seconds": None}) != PoliciesSection():
        yield f"{route.label}: access, limits, CORS and changed outputs stay the gateway's part"
