"""What both front ends serve with: one immutable value, replaced as a whole when the configuration changes."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.config import AdminSection, GrpcSection, HttpSection, LimitsSection
from gateway.core.policy import Chain
from gateway.frontends.cors import Cors
from gateway.traffic.sections import TrafficSection


@dataclass(frozen=True, slots=True)
class Serving:
    """The chain of policies, and the parts of the configuration that front ends need.

    Attributes:
        chain: what answers calls.
        http: settings of the HTTP port.
        grpc: settings of the gRPC port.
        limits: what a client may take.
        admin: the switches.
        prefixes: what may stand before /v2 in a path.
        cors: what web pages may do; None if no page may do anything.
    """

    chain: Chain
    http: HttpSection
    grpc: GrpcSection
    limits: LimitsSection
    admin: AdminSection
    prefixes: frozenset[str] = frozenset()
    cors: Cors | None = None


@dataclass(slots=True)
class Current:
    """The one reference that is swapped: a request reads it once, when it begins."""

    serving: Serving


def prefixes(section: TrafficSection) -> frozenset[str]:
    """What the routes let stand before /v2 in a path."""
    return frozenset([route.when.path_prefix for route in section.routes if route.when and route.when.path_prefix])
