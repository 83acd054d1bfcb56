"""What both front ends serve with: one immutable value, replaced as a whole when the configuration changes."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.config import AdminSection, GrpcSection, HttpSection, LimitsSection
from gateway.core.policy import Chain


@dataclass(frozen=True, slots=True)
class Serving:
    """The chain of policies, and the parts of the configuration that front ends need."""

    chain: Chain
    http: HttpSection
    grpc: GrpcSection
    limits: LimitsSection
    admin: AdminSection


@dataclass(slots=True)
class Current:
    """The one reference that is swapped: a request reads it once, when it begins."""

    serving: Serving
