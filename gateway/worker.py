"""What runs in each child process: `data` serves inference, `control` serves operators, `tap` records and compares.

Both are started by the launcher (`gateway/up.py`) and configured through their lifeline (`gateway/processes.py`).
"""

from __future__ import annotations

import asyncio
import logging
import resource
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import uvloop

from gateway.beside import Beside
from gateway.config import Config
from gateway.core.errors import SetupError
from gateway.processes import Parent

_log = logging.getLogger("gateway.worker")

_REPORT_SECONDS = 1.0
_DECIDE_SECONDS = 0.5  # a canary that is wrong is to be taken back soon


@dataclass(frozen=True, slots=True)
class Role:
    """What a child does once it serves.

    Attributes:
        addresses: the "host:port" of each protocol.
        hear: follows a message of the parent.
        status: what the parent is to know; told whenever it is another.
        pause: seconds between two looks at it.
        first: what the parent is to know before it goes on, beside the addresses.
    """

    addresses: dict[str, str]
    hear: Callable[[dict[str, Any]], Awaitable[None]]
    status: Callable[[], dict[str, Any]]
    pause: float = _REPORT_SECONDS
    first: Mapping[str, Any] = field(default_factory=dict)


async def data() -> None:
    """A data process: inference in, inference out."""
    # Each process imports what it needs, which is most of its memory.
    from gateway.app import DataPlane  # noqa: PLC0415
    from gateway.memory import keep_freed  # noqa: PLC0415
    from gateway.sockets import Listening  # noqa: PLC0415
    from gateway.tap.client import TapClient  # noqa: PLC0415

    keep_freed()

    async def start(parent: Parent, stack: AsyncExitStack) -> Role:
        config = parent.config
        if not config.upstreams:
            raise SetupError("upstreams: no Triton to send requests to; give the HTTP and gRPC addresses of one")
        listening = Listening.inherited(**parent.sockets) if parent.sockets else None
        beside = parent.beside
        plane = DataPlane(config, listening=listening, decided=beside.decided, tap=TapClient(beside.places.tap))
        await stack.enter_async_context(plane)

        said = config.model_dump(mode="json")

        async def hear(message: dict[str, Any]) -> None:
            nonlocal said, config
            if message["config"] != said:  # what has not changed is the same object, and needs no second look
                said, config = message["config"], Config.model_validate(message["config"])
            await plane.apply(config, Beside.of(message["beside"]).decided)

        return Role(plane.addresses, hear, plane.status)

    await _child(start)


async def control() -> None:
    """The control process: its own port, no part in any request."""
    from gateway.control.api import StatusBoard, create_api  # noqa: PLC0415
    from gateway.control.comparisons import Comparisons  # noqa: PLC0415
    from gateway.control.models import Models  # noqa: PLC0415
    from gateway.control.traffic.api import TrafficRoutes  # noqa: PLC0415
    from gateway.control.traffic.manager import Traffic  # noqa: PLC0415
    from gateway.control.upload import Uploads  # noqa: PLC0415
    from gateway.frontends.server import HttpServer  # noqa: PLC0415
    from gateway.repository.records import Records  # noqa: PLC0415
    from gateway.repository.store import Store  # noqa: PLC0415
    from gateway.traffic.sections import TrafficSection  # noqa: PLC0415

    async def start(parent: Parent, stack: AsyncExitStack) -> Role:
        board, section, repository = StatusBoard(), parent.config.control, parent.config.repository
        places = parent.beside.places
        store = Store(repository.path, repository.keep_versions)
        uploads = Uploads(repository.path, store.staging, section.max_upload_mib * 2**20)
        models = Models(store, Records(repository.path), uploads, lambda: board.status)
        traffic = Traffic(parent.config.traffic, places.state)
        comparisons = Comparisons(places.reports)
        api = create_api(board, models, TrafficRoutes(traffic), comparisons, hosts=[section.host])
        server = HttpServer(api, section.host, section.port, "control.port", drain_seconds=1)
        await stack.enter_async_context(server)

        async def hear(message: dict[str, Any]) -> None:
            if "traffic" in message:
                traffic.reconfigure(TrafficSection.model_validate(message["traffic"]))
            else:
                board.status = message
                traffic.hear(message)

        def status() -> dict[str, Any]:
            traffic.tick()
            return {"decided": traffic.snapshot.as_dict(), "news": [news.as_dict() for news in traffic.news]}

        return Role({"control": f"{section.host}:{server.port}"}, hear, status, _DECIDE_SECONDS, status())

    await _child(start)


async def tap() -> None:
    """The tap process: requests and answers that have left the data path, to be recorded or compared."""
    from gateway.tap.server import TapServer  # noqa: PLC0415
    from gateway.tap.takers import Takers  # noqa: PLC0415

    async def start(parent: Parent, stack: AsyncExitStack) -> Role:
        places = parent.beside.places
        takers = Takers(parent.config, places.reports)
        stack.push_async_callback(takers.aclose)
        await stack.enter_async_context(TapServer(places.tap, takers.take))

        async def hear(message: dict[str, Any]) -> None:
            await takers.reconfigure(Config.model_validate(message["config"]))

        return Role({}, hear, takers.status)

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
        parent.say({**role.addresses, **role.first})
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
        try:
            status = role.status()
        except Exception:
            _log.exception("how it is could not be told")
        else:
            if status != told and parent.report(status):
                told = status
        await asyncio.sleep(role.pause)


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
