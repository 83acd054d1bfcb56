"""The section `traffic` of the configuration: routes, and all that belongs to one."""

from __future__ import annotations

import hashlib
import ipaddress
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator, model_validator

from gateway.section import Bytes, Count, Pause, Seconds, Section, Share, UserPath
from gateway.traffic.canary_sections import CanarySection
from gateway.traffic.header_types import ChangedHeader, HeaderName, HeaderValue, Origin
from gateway.traffic.mirror_sections import MirrorSection

HUNDRED = 100.0
_CLOSE = 1e-6

ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
StickyBy = Annotated[str, Field(pattern=r"^(tenant|sequence|peer|header:[a-z0-9_.-]+|cookie:[^\s;=,]+)$")]


def _network(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{error}; write a network as 10.0.0.0/8, or one address") from None
    return text


Network = Annotated[str, AfterValidator(_network)]


class TargetSection(Section):
    """One of the models that a route leads to."""

    name: str = Field("", description="What it is called in status and reports; default: MODEL or MODEL-VERSION.")
    model: ModelName = Field(description="The model's name in the repository.")
    version: Count | None = Field(None, description="Its version; default: the one that is served.")
    upstreams: str = Field(
        "",
        description="Name of the upstream, or of the group of upstreams, that is asked; default: any without a group.",
    )
    weight: Share | None = Field(
        None, description="Percent of the requests. The weights of a route sum to 100; a single target needs none."
    )

    @property
    def label(self) -> str:
        """What it is called."""
        return self.name or (self.model if self.version is None else f"{self.model}-{self.version}")


class WhenSection(Section):
    """Which requests a route is for; all that is said must hold. Patterns are the shell's, such as `team-*`."""

    headers: dict[str, str] = Field(
        default_factory=dict, description="HTTP headers or gRPC metadata, each with a pattern that its value fits."
    )
    tenants: tuple[str, ...] = Field((), description="Patterns of tenants.")
    hosts: tuple[str, ...] = Field((), description="Patterns of host names that the client has called.")
    path_prefix: str = Field(
        "",
        description="What stands before /v2 in the path, such as /team-a; HTTP only.",
        pattern=r"^(/[A-Za-z0-9_.~-]+)*$",
    )

    @field_validator("path_prefix")
    @classmethod
    def _before_v2(cls, value: str) -> str:
        if "v2" in value.split("/"):
            raise ValueError("the first /v2 in a path begins the protocol's own part; leave /v2 out of path_prefix")
        return value


class AccessSection(Section):
    """Clients, by address or tenant."""

    networks: tuple[Network, ...] = Field((), description="Addresses and networks, such as 10.0.0.0/8.")
    tenants: tuple[str, ...] = Field((), description="Patterns of tenants.")

    @model_validator(mode="after")
    def _says_who(self) -> AccessSection:
        if not (self.networks or self.tenants):
            raise ValueError("name networks, tenants, or both; without either it would say nothing")
        return self


class HeadersSection(Section):
    """How headers (gRPC: metadata) are changed."""

    set: dict[ChangedHeader, HeaderValue] = Field(
        default_factory=dict, description="Headers that are set, with their values."
    )
    remove: tuple[ChangedHeader, ...] = Field((), description="Headers that are taken away.")


class CorsSection(Section):
    """What web pages of other origins may do."""

    origins: tuple[Origin, ...] = Field(description="Origins that may call, such as https://app.example; * is any.")
    headers: tuple[HeaderName, ...] = Field(
        ("content-type", "inference-header-content-length", "x-request-id"),
        description="Request headers that a page may send.",
    )
    expose: tuple[HeaderName, ...] = Field(
        ("inference-header-content-length", "x-request-id"), description="Reply headers that a page may read."
    )
    credentials: bool = Field(False, description="Whether cookies and credentials may be sent.")
    max_age_seconds: Pause = Field(600.0, description="How long a browser may remember this.")

    @model_validator(mode="after")
    def _not_all(self) -> CorsSection:
        if self.credentials and "*" in self.origins:
            raise ValueError("credentials may not be sent from every origin; name the origins instead of *")
        return self


class OutputsSection(Section):
    """How the outputs of HTTP replies are changed, before they go to the client; gRPC replies are left alone."""

    rename: dict[str, str] = Field(default_factory=dict, description="New names of outputs, by the old ones.")
    drop: tuple[str, ...] = Field((), description="Outputs that are left out.")
    digits: dict[str, Annotated[int, Field(ge=0, le=17)]] = Field(
        default_factory=dict, description="Outputs whose numbers are rounded, with the decimal places that are kept."
    )

    @model_validator(mode="after")
    def _is_clear(self) -> OutputsSection:
        if len(set(self.rename.values())) < len(self.rename):
            raise ValueError("rename: two outputs would get one name; give each its own")
        if both := set(self.drop) & (self.rename.keys() | self.digits.keys()):
            raise ValueError(f"{min(both)!r} is left out, so it can be neither renamed nor rounded; decide for one")
        return self


class PoliciesSection(Section):
    """What holds for the requests of one route."""

    timeout_seconds: Seconds | None = Field(
        None,
        description="How long a request may take, if that is less than else; on a gRPC stream each request, until "
        "its first answer.",
    )
    retry: bool = Field(True, description="Whether a request that failed at one Triton may be sent to another.")
    max_body_bytes: Bytes | None = Field(None, description="Largest request in bytes, if that is less than else.")
    allow: AccessSection | None = Field(
        None, description="Who may call: who is in each of the lists that are given. Without it everybody."
    )
    deny: AccessSection | None = Field(
        None, description="Who may not call, even if allowed: who is in one of the lists."
    )
    cors: CorsSection | None = Field(None, description="What web pages of other origins may do; HTTP only.")
    request_headers: HeadersSection = Field(
        default_factory=HeadersSection, description="Changes of what Triton is told."
    )
    reply_headers: HeadersSection = Field(
        default_factory=HeadersSection,
        description="Changes of what the client is told, by answers and by errors; not on gRPC streams, whose headers "
        "belong to all models that are called on one.",
    )
    outputs: OutputsSection = Field(
        default_factory=OutputsSection, description="Changes of outputs in HTTP replies, streams too."
    )


class RouteSection(Section):
    """A public model name, and where its requests go."""

    name: ModelName | None = Field(None, description="What the route is called; default: its model.")
    model: ModelName = Field(description="The name by which clients call it.")
    when: WhenSection | None = Field(
        None, description="Which requests it is for; of several routes of a model the first that fits is taken."
    )
    targets: tuple[TargetSection, ...] = Field((), description="Where they go; default: the model of the same name.")
    sticky: tuple[StickyBy, ...] = Field(
        (),
        description="What decides which target a client gets, so that it always gets the same: `header:NAME`, "
        "`cookie:NAME`, `tenant`, `sequence` or `peer`; the first that a request has. Without it chance decides.",
    )
    canary: CanarySection | None = Field(None, description="Shifts requests to a new target step by step.")
    mirrors: tuple[MirrorSection, ...] = Field((), description="Models that get copies of the requests.")
    policies: PoliciesSection = Field(default_factory=PoliciesSection, description="What holds for its requests.")

    @property
    def label(self) -> str:
        """What it is called."""
        return self.name or self.model

    @property
    def digest(self) -> str:
        """Changes with everything that the section says."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

    @model_validator(mode="after")
    def _targets_fit(self) -> RouteSection:
        labels = [target.label for target in self.targets]
        twice = {label for label in labels if labels.count(label) > 1}
        if twice:
            raise ValueError(f"two targets are called {min(twice)!r}; give each a `name` of its own")
        if self.canary is not None:
            self._canary_fits(self.canary, labels)
        elif len(self.targets) > 1 or any(target.weight is not None for target in self.targets):
            self._weights_sum()
        return self

    def _weights_sum(self) -> None:
        missing = [target.label for target in self.targets if target.weight is None]
        if missing:
            raise ValueError(f"target {missing[0]!r} has no weight; give every target one, 100 in sum")
        total = sum(target.weight or 0.0 for target in self.targets)
        if abs(total - HUNDRED) > _CLOSE:
            weights = " + ".join(f"{target.weight:g}" for target in self.targets)
            raise ValueError(f"the weights of a route sum to 100, and these to {total:g} ({weights})")

    def _canary_fits(self, canary: CanarySection, labels: list[str]) -> None:
        if len(labels) != 2:
            raise ValueError("a canary needs exactly two targets: the baseline, and the candidate that may replace it")
        if canary.candidate not in labels:
            there = ", ".join(labels)
            raise ValueError(f"canary.candidate: no target is called {canary.candidate!r}; there are: {there}")
        if any(target.weight is not None for target in self.targets):
            raise ValueError("the steps of the canary are its targets' weights; leave `weight` out")


class TrafficSection(Section):
    """Where requests go."""

    tenant_header: HeaderName | None = Field(
        None, description="Header (gRPC: metadata) that names the tenant; trust it only behind a proxy that sets it."
    )
    trusted_proxies: tuple[Network, ...] = Field(
        (), description="Networks of the proxies whose X-Forwarded-For is believed when a client's address matters."
    )
    only_public: bool = Field(
        False,
        description="Whether only names that have a route or an alias can be called; others are refused as models that "
        "do not exist, and so is a name whose routes all have a `when` that does not hold.",
    )
    state_file: UserPath | None = Field(
        None,
        description="Where the control process remembers weights, aliases and canaries; default "
        "`$XDG_STATE_HOME/triton-gateway/traffic-<control port>.json`.",
    )
    reports: UserPath | None = Field(
        None,
        description="Folder for reports of compared answers and the requests that differed; default "
        "`$XDG_STATE_HOME/triton-gateway/comparisons-<control port>`.",
    )
    aliases: dict[ModelName, str] = Field(
        default_factory=dict, description="Further names of models, as `latest-stable: magika` or `magika/3`."
    )
    routes: tuple[RouteSection, ...] = Field((), description="Public model names, and where their requests go.")
