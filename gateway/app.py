"""The composition root: the only place where objects are wired together.

`data` serves inference, `control` serves operators. Each is one process, started by `gateway/up.py` and configured
through its lifeline (`gateway/processes.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import uvloop

from gateway.config import Config
from gateway.control.api import StatusBoard, create_api
from gateway.core.errors import SetupError
from gateway.core.policy import Policy, fold
from gateway.frontends.grpc import GrpcFrontend
from gateway.frontends.grpc import bind as bind_grpc
from gateway.frontends.http import HttpFrontend
from gateway.frontends.pages import pages
from gateway.frontends.server import HttpServer
from gateway.policies.observe import Observe
from gateway.processes import Parent
from gateway.upstreams.base import Upstream
from gateway.upstreams.grpc import GrpcUpstream
from gateway.upstreams.http import HttpUpstream


def policies(config: Config) -> list[Policy]:
    """The chain, outermost first."""
    return [
        Observe(config.http.access_log),
    ]


async def start_data(config: Config, http: Upstream, grpc: Upstream, stack: AsyncExitStack) -> dict[str, str]:
    """Serve inference over both protocols until `stack` is closed.

    Args:
        config: ports and limits.
        http: where HTTP calls go.
        grpc: where gRPC calls go.
        stack: owns what is started.

    Returns:
        the "host:port" of each protocol.

    Raises:
        SetupError: a port is taken.
    """
    chain, limits = policies(config), config.limits
    stack.push_async_callback(http.aclose)
    stack.push_async_callback(grpc.aclose)
    frontend = HttpFrontend(fold(chain, http.infer), pages(), config.http.max_body_bytes, limits.deadline_seconds)
    http_server = HttpServer(frontend, config.http.host, config.http.port, "http.port", limits.drain_seconds)
    grpc_server, grpc_port = bind_grpc(GrpcFrontend(fold(chain, grpc.infer), limits.deadline_seconds), config.grpc)
    await grpc_server.start()
    stack.push_async_callback(grpc_server.stop, limits.drain_seconds)
    await stack.enter_async_context(http_server)
    return {"http": f"{config.http.host}:{http_server.port}", "grpc": f"{config.grpc.host}:{grpc_port}"}


async def data() -> None:
    """The data process: inference in, inference out."""

    async def start(parent: Parent, stack: AsyncExitStack) -> dict[str, str]:
        config = parent.config
        if config.upstream is None:
            raise SetupError("upstream: no Triton to send requests to; give its HTTP and gRPC addresses")
        http = HttpUpstream(config.upstream.http, config.limits)
        grpc = GrpcUpstream(config.upstream.grpc, config.limits)
        return await start_data(config, http, grpc, stack)

    await _child(start, lambda _: None)


async def control() -> None:
    """The control process: its own port, no part in any request."""
    board = StatusBoard()

    async def start(parent: Parent, stack: AsyncExitStack) -> dict[str, str]:
        section = parent.config.control
        server = HttpServer(create_api(board), section.host, section.port, "control.port", drain_seconds=1)
        await stack.enter_async_context(server)
        return {"control": f"{section.host}:{server.port}"}

    def heard(message: dict[str, object]) -> None:
        board.status = message

    await _child(start, heard)


async def _child(
    start: Callable[[Parent, AsyncExitStack], Awaitable[dict[str, str]]], heard: Callable[[dict[str, object]], None]
) -> None:
    """Start, say where, and serve until SIGTERM or the end of the parent."""
    parent = await Parent.connect()

    async def listen() -> None:
        async for message in parent.messages():
            heard(message)

    async with AsyncExitStack() as stack:
        try:
            parent.say(await start(parent, stack))
        except SetupError as error:
            parent.say({"error": error.message})
            raise SystemExit(1) from None
        listener = asyncio.create_task(listen(), name="lifeline")
        await parent.stop.wait()
        listener.cancel()


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run one process's coroutine on uvloop."""

    async def entry() -> None:
        await main()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(entry())
