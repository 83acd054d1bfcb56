"""A plan as an Istio VirtualService (networking.istio.io/v1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.render.patterns import match_of
from gateway.render.plan import TARGET_HEADER, Plan, Rule
from gateway.render.service import Service
from gateway.traffic.sections import HeadersSection

Values = Mapping[str, Any]


def virtual_service(plan: Plan, service: Service) -> dict[str, Any]:
    """The resource; the last of its rules sends everything else to the gateway as it is."""
    rules = [_http(rule, service) for rule in plan.rules]
    spec: dict[str, Any] = {"hosts": list(service.hosts)}
    if service.parent:
        spec["gateways"] = [service.parent, "mesh"]
    unmarked = {"headers": {"request": {"remove": [TARGET_HEADER]}}, "route": [{"destination": _destination(service)}]}
    spec["http"] = [*rules, {"name": "everything-else"} | unmarked]
    metadata = {"name": service.name} | ({"namespace": service.namespace} if service.namespace else {})
    return {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": metadata, "spec": spec}


def _http(rule: Rule, service: Service) -> Values:
    told: dict[str, Any] = {"name": rule.name, "match": list(_matches(rule))}
    told["route"] = [
        {
            "destination": _destination(service),
            "weight": share.weight,
            "headers": {"request": {"set": {TARGET_HEADER: share.target}}},
        }
        for share in rule.shares
    ]
    headers = {
        way: changes
        for way, section in (("request", rule.request_headers), ("response", rule.reply_headers))
        if (changes := _changes(section))
    }
    if headers:
        told["headers"] = headers
    if rule.timeout_seconds is not None:
        told["timeout"] = f"{rule.timeout_seconds:g}s"
    told["retries"] = {"attempts": 0}  # the gateway knows which requests are safe to send again
    return told


def _matches(rule: Rule) -> Iterator[Values]:
    """Istio's own: any of the list, all of what one entry says."""
    headers = {name.lower(): match_of(pattern)._asdict() for name, pattern in rule.headers.items()}
    said = {name: {match["kind"]: match["value"]} for name, match in headers.items()}
    for path in rule.paths:
        for host in rule.hosts or ("",):
            entry: dict[str, Any] = {"uri": {"exact": path}, "method": {"exact": "POST"}}
            if host:
                match = match_of(host)
                entry["authority"] = {match.kind: match.value}
            if said:
                entry["headers"] = said
            yield entry


def _changes(section: HeadersSection) -> Values:
    told: dict[str, Any] = {}
    if section.set:
        told["set"] = dict(section.set)
    if section.remove:
        told["remove"] = list(section.remove)
    return told


def _destination(service: Service) -> Values:
    return {"host": service.name, "port": {"number": service.port}}
