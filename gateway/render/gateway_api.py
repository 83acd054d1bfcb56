"""A plan as an HTTPRoute of the Kubernetes Gateway API (gateway.networking.k8s.io/v1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.core.errors import ConfigError
from gateway.render.patterns import match_of, regex_of
from gateway.render.plan import TARGET_HEADER, Plan, Rule
from gateway.render.service import Service
from gateway.traffic.sections import HeadersSection

Values = Mapping[str, Any]
_MOST_RULES = 16  # of one HTTPRoute


def http_routes(plan: Plan, service: Service) -> list[dict[str, Any]]:
    """The resources: for the hosts of the service as many as its rules need, and one for each route with its own hosts.

    Raises:
        ConfigError: a route's hosts cannot be said in it.
    """
    unmark = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": [TARGET_HEADER]}}
    rest: Values = {"filters": [unmark], "backendRefs": [_backend(service)]}
    rules = [*(_rule(rule, service) for rule in plan.rules if not rule.hosts), rest]
    resources = []
    for start in range(0, len(rules), _MOST_RULES):
        name = f"{service.name}-{start // _MOST_RULES + 1}" if start else service.name
        resources.append(_route(service, name, service.hosts, rules[start : start + _MOST_RULES]))
    for rule in plan.rules:
        if rule.hosts:
            name = f"{service.name}-{rule.name}".lower().replace("_", "-")
            resources.append(_route(service, name, _hostnames(rule), [_rule(rule, service), rest]))
    return resources


def _route(service: Service, name: str, hosts: tuple[str, ...], rules: list[Values]) -> dict[str, Any]:
    namespace, _, parent = service.parent.rpartition("/")
    reference = {"name": parent} | ({"namespace": namespace} if namespace else {})
    if not parent:  # no Gateway: the mesh itself (GAMMA), which takes a Service as the parent
        reference = {"group": "", "kind": "Service", "name": service.name}
    spec: dict[str, Any] = {"parentRefs": [reference]}
    hostnames = [host for host in hosts if "." in host and host != "*"]
    if hostnames and parent:
        spec["hostnames"] = hostnames
    spec["rules"] = rules
    metadata = {"name": name} | ({"namespace": service.namespace} if service.namespace else {})
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": metadata, "spec": spec}


def _hostnames(rule: Rule) -> tuple[str, ...]:
    for host in rule.hosts:
        if "*" in host.removeprefix("*.") or any(char in host for char in "?["):
            raise ConfigError(
                f"traffic.routes: {rule.name}: an HTTPRoute cannot match the host {host!r}; "
                "it takes whole names, and *.DOMAIN"
            )
    return rule.hosts


def _rule(rule: Rule, service: Service) -> Values:
    told: dict[str, Any] = {"matches": list(_matches(rule))}
    filters = [
        {"type": kind, key: changes}
        for kind, key, section in (
            ("RequestHeaderModifier", "requestHeaderModifier", rule.request_headers),
            ("ResponseHeaderModifier", "responseHeaderModifier", rule.reply_headers),
        )
        if (changes := _changes(section))
    ]
    if filters:
        told["filters"] = filters
    if rule.timeout_seconds is not None:
        told["timeouts"] = {"request": _duration(rule.timeout_seconds)}
    told["backendRefs"] = [
        _backend(service)
        | {
            "weight": share.weight,
            "filters": [
                {
                    "type": "RequestHeaderModifier",
                    "requestHeaderModifier": {"set": [{"name": TARGET_HEADER, "value": share.target}]},
                }
            ],
        }
        for share in rule.shares
    ]
    return told


def _matches(rule: Rule) -> Iterator[Values]:
    headers = [_header(name, pattern) for name, pattern in rule.headers.items()]
    for path in rule.paths:
        entry: dict[str, Any] = {"path": {"type": "Exact", "value": path}, "method": "POST"}
        yield entry | ({"headers": headers} if headers else {})


def _header(name: str, pattern: str) -> Values:
    exact = match_of(pattern).kind == "exact"
    value = pattern if exact else regex_of(pattern)
    return {"type": "Exact" if exact else "RegularExpression", "name": name, "value": value}


def _changes(section: HeadersSection) -> Values:
    told: dict[str, Any] = {}
    if section.set:
        told["set"] = [{"name": name, "value": value} for name, value in section.set.items()]
    if section.remove:
        told["remove"] = list(section.remove)
    return told


def _duration(seconds: float) -> str:
    """Gateway API's durations have no fractions."""
    milliseconds = round(seconds * 1000)
    return f"{milliseconds}ms" if milliseconds % 1000 else f"{milliseconds // 1000}s"


def _backend(service: Service) -> dict[str, Any]:
    return {"name": service.name, "port": service.port}
