"""What runs in each child process: `data` serves inference, `control` serves operators.

Both are started by the launcher (`gateway/up.py`) and configured through their lifeline (`gateway/processes.py`).
"""

from __future__ import annotations

import asyncio
import logging
import resource
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import uvloop

from gateway.config import Config
from gateway.core.errors import SetupError
from gateway.processes import Parent

_log = logging.getLogger("gateway.worker")

_REPORT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Role:
    """What a child does once it serves.

    Attributes:
        addresses: the "host:port" of each protocol.
        hear: follows a message of the parent.
        status: what the parent is to know; told whenever it is another, at most once a second.
    """

    addresses: dict[str, str]
    hear: Callable[[dict[str, Any]], Awaitable[None]]
    status: Callable[[], dict[str, Any]]


async def data() -> None:
    """A data process: inference in, inference out."""
    # Each process imports what it needs, which is most of its memory.
    from gateway.app import DataPlane  # noqa: PLC0415
    from gateway.memory import keep_freed  # noqa: PLC0415
    from gateway.sockets import Listening  # noqa: PLC0415

    keep_freed()

    async def start(parent: Parent, stack: AsyncExitStack) -> Role:
        config = parent.config
        if not config.upstreams:
            raise SetupError("upstreams: no Triton to send requests to; give the HTTP and gRPC addresses of one")
        listening = Listening.inherited(**parent.sockets) if parent.sockets else None
        plane = await stack.enter_async_context(DataPlane(config, listening=listening))

        async def hear(message: dict[str, Any]) -> None:
            await plane.apply(Config.model_validate(message["config"]))

        return Role(plane.addresses, hear, plane.status)

    await _child(start)


async def control() -> None:
    """The control process: its own port, no part in any request."""
    from gateway.control.api import StatusBoard, create_api  # noqa: PLC0415
    from gateway.control.models import Models  # noqa: PLC0415
    from gateway.control.upload import Uploads  # noqa: PLC0415
    from gateway.frontends.server import HttpServer  # noqa: PLC0415
    from gateway.repository.records import Records  # noqa: PLC0415
    from gateway.repository.store import Store  # noqa: PLC0415

    async def start(parent: Parent, stack: AsyncExitStack) -> Role:
        board, section, repository = StatusBoard(), parent.config.control, parent.config.repository
        store = Store(repository.path, repository.keep_versions)
        uploads = Uploads(repository.path, store.staging, section.max_upload_mib * 2**20)
        models = Models(store, Records(repository.path), uploads, lambda: board.status)
        api = create_api(board, models, hosts=[section.host])
        server = HttpServer(api, section.host, section.port, "control.port", drain_seconds=1)
        await stack.enter_async_context(server)

        async def hear(message: dict[str, Any]) -> None:
            board.status = message

        return Role({"control": f"{section.host}:{server.port}"}, hear, dict)

    await _child(start)


async def _child(start: Callable[[Parent, AsyncExitStack], Awaitable[Role]]) -> None:
    """Start, say so, and serve until SIGTERM or the end of the parent."""
    parent = await Parent.connect()
    async with AsyncExitStack() as stack:
        try:
            role = await start(parent, stack)
        except SetupError as error:
            parent.say({"error": error.message})
            raise SystemExit(1) from None
        parent.say(role.addresses)
        tasks = [
            asyncio.create_task(_listen(parent, role), name="lifeline"),
            asyncio.create_task(_report(parent, role), name="report"),
        ]
        await parent.stop.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _listen(parent: Parent, role: Role) -> None:
    """Follow what the parent tells; a message that cannot be followed is logged, and the old state stays."""
    async for message in parent.messages():
        try:
            await role.hear(message)
        except Exception:
            _log.exception("a message of the launcher could not be followed")


async def _report(parent: Parent, role: Role) -> None:
    told: dict[str, Any] = {}
    while True:
        status = role.status()
        if status != told:
            parent.report(status)
            told = status
        await asyncio.sleep(_REPORT_SECONDS)


def raise_open_files() -> None:
    """As many open files as the hard limit allows: each connection is one, and the usual soft limit is 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run one process's coroutine on uvloop."""
    raise_open_files()

    async def entry() -> None:
        await main()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(entry())
