"""The composition root: the only place where the data path is wired together.

`gateway/worker.py` runs what is wired here in a process of its own; tests run it in theirs.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Self

from gateway.config import Config, LimitsSection, UpstreamSection
from gateway.core.policy import Innermost, Policy, fold
from gateway.frontends.cors import Cors
from gateway.frontends.grpc import GrpcFrontend
from gateway.frontends.grpc_server import GrpcListener
from gateway.frontends.http import HttpFrontend
from gateway.frontends.http_server import LAST_REQUESTS_SECONDS, HttpListener
from gateway.frontends.intake import Intake
from gateway.frontends.pages import pages
from gateway.frontends.serving import Current, Serving, prefixes
from gateway.policies.load_by_grpc import LoadByGrpc
from gateway.policies.measure import Measure
from gateway.policies.mirror import Mirror
from gateway.policies.mirroring import Mirroring
from gateway.policies.observe import Observe
from gateway.policies.record import Record
from gateway.policies.restrict import Restrict
from gateway.policies.route import Route
from gateway.policies.rules import Rules
from gateway.sockets import Listening
from gateway.tap.base import ClosedTap, Tap
from gateway.traffic.measures import Measures
from gateway.traffic.mirrors import Mirrors
from gateway.traffic.sequences import Sequences
from gateway.traffic.snapshot import Snapshot
from gateway.traffic.table import Table
from gateway.upstreams.base import Upstream
from gateway.upstreams.grpc import GrpcUpstream
from gateway.upstreams.http import HttpUpstream
from gateway.upstreams.pool import Endpoint, Pool


@dataclass(slots=True)
class Lasting:
    """What a worker keeps when its configuration changes, or what control has decided.

    Attributes:
        measures: counts what becomes of requests.
        sequences: where sequences that are under way go.
        mirroring: the copies of requests that are under way.
        tap: takes what is recorded or compared.
        table: where requests go now.
    """

    tap: Tap
    sequences: Sequences
    measures: Measures = field(default_factory=Measures)
    mirroring: Mirroring = field(default_factory=Mirroring)
    table: Table | None = None

    def follow(self, config: Config, decided: Snapshot) -> Table:
        """Go by another configuration, or by what control has decided; gives the table of routes."""
        self.sequences.idle_seconds = config.balance.sequence_idle_seconds
        self.measures.follow(config.traffic, decided)
        self.table = Table.compile(config.traffic, decided, self.table)
        return self.table

    async def aclose(self) -> None:
        """Give up the copies, and hand over what the tap was given."""
        await self.mirroring.aclose()
        await self.tap.aclose()


def policies(config: Config, decided: Snapshot, lasting: Lasting) -> list[Policy]:
    """The chain, outermost first; what is switched off is not in it."""
    traffic = config.traffic
    measures, tap = lasting.measures, lasting.tap
    mirrors, rules = Mirrors.compile(traffic, decided), Rules(traffic)
    table = lasting.follow(config, decided)
    routed = bool(traffic.routes)
    named = routed or traffic.aliases or decided.aliases or traffic.only_public
    public = {route.label: route.model for route in traffic.routes}
    record = Record(config.recording, tap, traffic.tenant_header or "", public)
    return [
        Observe(config.http.access_log),
        Restrict(config.admin),
        LoadByGrpc(),
        *([Route(table, lasting.sequences, only_public=traffic.only_public)] if named else []),
        *([] if rules.empty else [rules]),
        *([Measure(measures)] if routed else []),
        *([record] if config.recording.folder is not None else []),
        *([Mirror(mirrors, lasting.mirroring, measures, tap)] if mirrors else []),
    ]


def serving(config: Config, decided: Snapshot, upstream: Innermost, lasting: Lasting) -> Serving:
    """What the front ends serve with under `config`."""
    chain = fold(policies(config, decided, lasting), upstream)
    traffic = config.traffic
    return Serving(
        chain,
        config.http,
        config.grpc,
        config.limits,
        config.admin,
        prefixes(traffic),
        Cors.of(traffic, decided.aliases),
    )


class Tritons:
    """The external Tritons, or the embedded one, as a pool that follows the configuration.

    Args:
        config: names them; at least one.
    """

    def __init__(self, config: Config) -> None:
        self._endpoints: dict[tuple[UpstreamSection, tuple[float, ...]], Endpoint] = {}
        self.pool = Pool(self._named_in(config), config.balance)

    async def apply(self, config: Config) -> None:
        """Go by another configuration; what is in flight is finished where it is."""
        await self.pool.reconfigure(self._named_in(config), config.balance)

    def _named_in(self, config: Config) -> list[Endpoint]:
        """An endpoint for each; one that has not changed stays, and with it its connections and what is known of it."""
        limits = _of_connections(config.limits)
        old, self._endpoints = self._endpoints, {}
        for section in config.upstreams:
            key = (section.model_copy(update={"group": ""}), limits)  # another group needs no other connections
            known = old.get(key)
            http = known.http if known else HttpUpstream(section.http, config.limits)
            grpc = known.grpc if known else GrpcUpstream(section.grpc, config.limits)
            self._endpoints[key] = Endpoint(section.label, http, grpc, section.group)
        return list(self._endpoints.values())


class DataPlane:
    """Both front ends over one upstream: what a worker runs. An asynchronous context manager, which drains at its end.

    Args:
        config: the configuration.
        upstream: what answers; default: the Tritons that the configuration names.
        listening: the sockets; default: its own, where the configuration says.
        decided: what control has decided; default: nothing.
        tap: takes what is recorded or compared; default: nobody does.

    Attributes:
        addresses: the "host:port" of each protocol, once it serves.
    """

    def __init__(
        self,
        config: Config,
        upstream: Upstream | None = None,
        listening: Listening | None = None,
        decided: Snapshot | None = None,
        tap: Tap | None = None,
    ) -> None:
        self.addresses: dict[str, str] = {}
        self._config, self._listening = config, listening
        self._tritons: Tritons | None = None
        if upstream is None:
            self._tritons = Tritons(config)
            upstream = self._tritons.pool
        self._upstream = upstream
        self._intake = Intake(config.limits.max_buffered_bytes)
        self._decided = decided or Snapshot()
        self._lasting = Lasting(tap or ClosedTap(), Sequences(config.balance.sequence_idle_seconds))
        self._current = Current(serving(config, self._decided, upstream, self._lasting))

    async def __aenter__(self) -> Self:
        """Serve.

        Raises:
            SetupError: a port is taken.
        """
        current, intake = self._current, self._intake
        sockets = self._listening or Listening.bound(self._config)
        self.addresses = sockets.addresses(self._config)
        self._http = HttpListener(HttpFrontend(current, intake), pages(), sockets.http, current, intake)
        self._grpc = GrpcListener(GrpcFrontend(current, intake), sockets.grpc, current, intake)
        if self._tritons is not None:
            await self._tritons.pool.start()
        await self._grpc.start()
        await self._http.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Turn readiness false, take no new connections, then no new requests, finish what is there, and end."""
        limits = self._current.serving.limits
        self._intake.leave_soon()
        await asyncio.sleep(limits.drain_delay_seconds)
        # Clients hear that their connections end, and are sending requests until they have heard it.
        refusing = asyncio.get_running_loop().call_later(LAST_REQUESTS_SECONDS, self._intake.close)
        await asyncio.gather(self._http.stop(limits.drain_seconds), self._grpc.stop(limits.drain_seconds))
        refusing.cancel()
        self._intake.close()
        await self._lasting.aclose()
        await self._upstream.aclose()

    async def apply(self, config: Config, decided: Snapshot | None = None) -> None:
        """Go by another configuration, or by what control decided; requests that have begun go on by the old one."""
        if self._tritons is not None and config != self._config:
            await self._tritons.apply(config)
        self._config, self._decided = config, decided or self._decided
        self._intake.max_bytes = config.limits.max_buffered_bytes
        self._current.serving = serving(config, self._decided, self._upstream, self._lasting)

    def status(self) -> dict[str, Any]:
        """How the Tritons are, as this worker sees it, and what became of requests."""
        return {
            "upstreams": self._tritons.pool.status() if self._tritons is not None else [],
            "traffic": self._lasting.measures.report(),
        }


def _of_connections(limits: LimitsSection) -> tuple[float, ...]:
    """The limits that the connections to a Triton keep for their life."""
    return (
        limits.connect_timeout_seconds,
        limits.max_connections,
        limits.max_waiting,
        limits.max_header_bytes,
        limits.max_decompression_ratio,
    )


async def start_data(config: Config, stack: AsyncExitStack, upstream: Upstream | None = None) -> dict[str, str]:
    """Serve inference over both protocols until `stack` is closed; gives the "host:port" of each protocol.

    Raises:
        SetupError: a port is taken.
    """
    return (await stack.enter_async_context(DataPlane(config, upstream))).addresses
