"""One Triton of a pool: how it is asked, and what the pool knows of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from gateway.upstreams.base import Upstream
from gateway.upstreams.health import Health
from gateway.upstreams.placement import Ready


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One Triton, by both protocols. Two are the same if they have the same name and the same upstreams.

    So one that comes into another group keeps its connections, and what is known of it.

    Attributes:
        name: what it is called in logs and in the status.
        http: answers calls that came over HTTP, and the pool's checks.
        grpc: answers calls that came over gRPC.
        group: the group that it belongs to, which gets only calls that name it; empty for none.
    """

    name: str
    http: Upstream
    grpc: Upstream
    group: str = field(default="", compare=False)

    async def aclose(self) -> None:
        """Give up its connections."""
        await self.http.aclose()
        if self.grpc is not self.http:
            await self.grpc.aclose()


class Member:
    """An endpoint in a pool.

    Args:
        endpoint: how it is asked.
        health: how it has been doing.

    Attributes:
        label: what it is called towards clients; a name that is its address is kept from them.
        in_flight: how many calls it has not answered yet.
        replies: how many it has answered.
        ready: the model versions that it has ready; None while that is not known.
        life: counts how often it was found dead; what it remembered in an earlier life is lost.
        checks: how many checks were begun; `applied` is the one that the pool goes by.
        leaving: whether it was removed from the pool; `emptied` is then set once nothing is in flight.
        returning: ends an ejection when its time is up.
    """

    __slots__ = (
        "applied",
        "checks",
        "emptied",
        "endpoint",
        "grpc",
        "health",
        "http",
        "in_flight",
        "label",
        "leaving",
        "life",
        "name",
        "ready",
        "replies",
        "returning",
    )

    def __init__(self, endpoint: Endpoint, health: Health) -> None:
        self.endpoint = endpoint
        self.name = self.label = endpoint.name
        self.http = endpoint.http
        self.grpc = endpoint.grpc
        self.health = health
        self.in_flight = self.replies = 0
        self.ready: Ready | None = None
        self.life = 0
        self.checks = 0
        self.applied = 0
        self.leaving = False
        self.emptied = asyncio.Event()
        self.returning: asyncio.TimerHandle | None = None

    def has(self, model: str, version: str) -> bool:
        """Whether it has the model ready, as far as is known; a server-wide call (no model) suits every endpoint."""
        return not model or self.ready is None or (model, version) in self.ready

    def load(self, now: float) -> float:
        """How busy it is: calls in flight, and more for a while after failures."""
        return self.in_flight + self.health.penalty(now)

    def leave(self) -> None:
        """It was removed from the pool: what is in flight finishes, nothing new comes."""
        self.leaving = True
        if self.returning is not None:
            self.returning.cancel()
        if not self.in_flight:
            self.emptied.set()
