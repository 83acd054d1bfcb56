"""Everybody who is measured side by side in front of one upstream: the gateway, Envoy, nginx, a grpc.aio proxy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import tools
from benchmarks.context import Context
from benchmarks.engines import envoy, gateway, grpc_aio, nginx
from benchmarks.payloads import Kind
from benchmarks.service import Service, ServiceError

DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class Runner:
    """One who takes part.

    Attributes:
        name: in results.
        http: its HTTP address; empty if it has none.
        grpc: its gRPC address; empty if it has none.
        pid: the root of its processes; 0 for "direct", which is no process of its own.
    """

    name: str
    http: str
    grpc: str
    pid: int

    def address(self, kind: Kind) -> str:
        """Where requests of this kind go; empty if it does not take them."""
        return self.grpc if kind == "grpc" else self.http


@dataclass(slots=True)
class Lineup:
    """Those who run, and why others do not."""

    runners: list[Runner] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)

    def serving(self, kind: Kind) -> list[Runner]:
        """Those who take requests of this kind."""
        return [runner for runner in self.runners if runner.address(kind)]


def start(context: Context, upstream: Service, folder: Path, stack: ExitStack, only: Iterable[str] = ()) -> Lineup:
    """Start everybody in front of `upstream`; whoever cannot be started is told and noted with the reason.

    Args:
        context: settings.
        upstream: what they all send requests to.
        folder: for logs and configurations.
        stack: owns what is started.
        only: names of those that are wanted; empty for all.
    """
    lineup = Lineup([Runner(DIRECT, upstream.http, upstream.grpc, 0)])
    wanted = set(only) or context.engines
    for name, begin in starters(context, (upstream.http, upstream.grpc), folder).items():
        if wanted and name not in wanted:
            continue
        try:
            service = stack.enter_context(begin())
        except (ServiceError, tools.ToolError) as error:
            lineup.missing[name] = str(error)
            context.progress.note(f"{name} is left out: {error}")
        else:
            lineup.runners.append(Runner(name, service.http, service.grpc, service.pid))
    return lineup


def names(context: Context) -> list[str]:
    """Everybody who is wanted."""
    return [
        name for name in starters(context, ("", ""), context.scratch) if not context.engines or name in context.engines
    ]


def starters(context: Context, upstream: tuple[str, str], folder: Path) -> dict[str, Callable[[], Service]]:
    """How each of them is started, by name."""
    on = context.cores.on_proxy
    versions: dict[str, Callable[[], Service]] = {
        name: lambda name=name, source=source: gateway.start(  # type: ignore[misc]
            upstream, folder / name, on, name=name, source=source
        )
        for name, source in context.versions.items()
    }
    return {
        "gateway": lambda: gateway.start(upstream, folder / "gateway", on),
        **versions,
        "envoy": lambda: envoy.start(tools.envoy(context.console), upstream, folder / "envoy", on),
        "nginx": lambda: nginx.start(tools.nginx(), upstream, folder / "nginx", on),
        "grpc.aio": lambda: grpc_aio.start(upstream[1], folder / "grpc.aio", on),
    }
