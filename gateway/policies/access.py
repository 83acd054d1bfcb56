"""Who may call: one route's lists of networks and tenants, compiled."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address, ip_network

from gateway.core.call import Call
from gateway.core.errors import Forbidden
from gateway.traffic.matching import Network, Patterns, client_address, tenant_of
from gateway.traffic.sections import AccessSection, TrafficSection

_REMEMBERED = 4096  # addresses


class Access:
    """The sections `allow` and `deny` of a route.

    A client must be in every list of `allow` that is not empty, and in none of `deny`. Who cannot be told from those
    that may not call may not call either: one without an address where addresses count. Nobody in particular is no
    tenant, and fits no pattern.

    Args:
        route: what the route is called.
        allow: who may call; None for everybody.
        deny: who may not; None for nobody.
        traffic: what tenants and clients' addresses are read from.
    """

    def __init__(
        self, route: str, allow: AccessSection | None, deny: AccessSection | None, traffic: TrafficSection
    ) -> None:
        self._route = route
        self._trusted = networks(traffic.trusted_proxies)
        self._allowed_networks = networks(allow.networks if allow else ())
        self._denied_networks = networks(deny.networks if deny else ())
        self._by_address = bool(self._allowed_networks or self._denied_networks)
        self._refusal = lru_cache(_REMEMBERED)(_refusal)
        self._tenant_header = traffic.tenant_header.lower().encode() if traffic.tenant_header else None
        self._allowed_tenants = Patterns(allow.tenants) if allow and allow.tenants else None
        self._denied_tenants = Patterns(deny.tenants) if deny and deny.tenants else None

    def check(self, call: Call) -> None:
        """Let `call` pass.

        Raises:
            Forbidden: its client may not call.
        """
        if self._by_address:
            address = client_address(call, self._trusted)
            refused = self._refusal(address, self._allowed_networks, self._denied_networks)
            if refused:
                raise self._forbidden("your address", f"{refused}.networks")
        if self._allowed_tenants is not None or self._denied_tenants is not None:
            tenant = tenant_of(call, self._tenant_header)
            if self._allowed_tenants is not None and not (tenant and self._allowed_tenants.fit(tenant)):
                raise self._forbidden("your tenant" if tenant else "nobody in particular", "allow.tenants")
            if self._denied_tenants is not None and tenant and self._denied_tenants.fit(tenant):
                raise self._forbidden("your tenant", "deny.tenants")

    def _forbidden(self, who: str, rule: str) -> Forbidden:
        return Forbidden(
            f"route {self._route!r} takes no calls from {who}; its operator can change that in policies.{rule}"
        )


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Networks and addresses, ready to be looked into."""
    return tuple([ip_network(text) for text in texts])


def _refusal(address: str, allowed: tuple[Network, ...], denied: tuple[Network, ...]) -> str:
    """The list that keeps `address` out, "allow" or "deny"; empty if none does."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "allow" if allowed else "deny"
    if any(parsed in network for network in denied):
        return "deny"
    return "allow" if allowed and not any(parsed in network for network in allowed) else ""
