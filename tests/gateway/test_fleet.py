"""Workers as processes of their own, in front of a fake Triton that this process runs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from gateway.config import Config, UpstreamSection
from gateway.core.errors import SetupError
from gateway.fleet import Fleet
from gateway.sockets import bind
from gateway.upstreams.fake_triton import FakeTriton

BODY = json.dumps({"inputs": [{"name": "IN", "shape": [1], "datatype": "INT32", "data": [1]}]})


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


class Stage:
    """Two workers, what was told of them, and what they are configured with."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.deaths: list[tuple[str, int]] = []
        self.fleet = Fleet(
            lambda: self.config, lambda name, status, _: self.deaths.append((name, status)), lambda: None
        )

    def pids(self) -> dict[str, int]:
        return {worker["name"]: worker["pid"] for worker in self.fleet.status()}

    async def infer(self, client: httpx.AsyncClient) -> httpx.Response:
        return await client.post(f"http://{self.fleet.addresses['http']}/v2/models/echo/infer", content=BODY)

    async def infer_anew(self) -> int:
        """The status of an inference over a connection of its own."""
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            return (await self.infer(client)).status_code


@pytest.fixture
async def triton() -> AsyncIterator[FakeTriton]:
    async with FakeTriton() as triton:
        yield triton


@pytest.fixture
async def stage(config: Config, triton: FakeTriton) -> AsyncIterator[Stage]:
    upstream = UpstreamSection(http=triton.http, grpc=triton.grpc)
    stage = Stage(config.model_copy(update={"upstreams": (upstream,), "workers": 2}))
    await stage.fleet.start()
    yield stage
    await stage.fleet.stop()


async def test_a_worker_that_is_killed_is_replaced_and_no_connection_that_waits_for_it_is_lost(stage: Stage) -> None:
    before = stage.pids()
    assert await stage.infer_anew() == 200
    os.kill(before["data-0"], signal.SIGKILL)
    # About half of these come to the dead worker's sockets, and wait there for its replacement.
    assert await asyncio.gather(*(stage.infer_anew() for _ in range(30))) == [200] * 30
    await until(lambda: stage.pids()["data-0"] not in (None, before["data-0"]))
    assert stage.deaths == [("data-0", -signal.SIGKILL)]
    assert stage.pids()["data-1"] == before["data-1"]


async def test_connections_of_the_other_workers_notice_nothing(stage: Stage) -> None:
    async def call_on_and_on(seen: list[int]) -> list[int]:
        """One connection; it breaks if it is the killed worker's."""
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            while not stop.is_set():
                try:
                    seen.append((await stage.infer(client)).status_code)
                except httpx.TransportError:
                    return []
        return seen

    stop, seen_by_each = asyncio.Event(), [list[int]() for _ in range(16)]
    callers = [asyncio.create_task(call_on_and_on(seen)) for seen in seen_by_each]
    await until(lambda: all(seen_by_each))
    os.kill(stage.pids()["data-0"], signal.SIGKILL)
    await until(lambda: stage.deaths)
    await until(lambda: stage.pids()["data-0"])
    stop.set()
    survived = [seen for seen in await asyncio.gather(*callers) if seen]
    assert survived
    assert {status for seen in survived for status in seen} == {200}


async def test_stopped_it_finishes_what_is_in_flight_and_frees_the_ports(stage: Stage, triton: FakeTriton) -> None:
    triton.upstream.gate.clear()
    requests = [asyncio.create_task(stage.infer_anew()) for _ in range(10)]
    await until(lambda: sum(bool(call.model) for call in triton.upstream.calls) == 10)
    stopping = asyncio.create_task(stage.fleet.stop())
    asyncio.get_running_loop().call_later(0.3, triton.upstream.gate.set)
    assert await asyncio.gather(*requests) == [200] * 10
    await stopping
    host, _, port = stage.fleet.addresses["http"].rpartition(":")
    bind(host, int(port), "a port that must be free").close()
    assert stage.deaths == []


async def test_every_worker_goes_by_what_it_is_told_and_its_replacement_too(stage: Stage) -> None:
    async def index() -> set[int]:
        statuses = set()
        for _ in range(16):  # each over a connection of its own, so that every worker is asked
            async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
                reply = await client.post(f"http://{stage.fleet.addresses['http']}/v2/repository/index")
            statuses.add(reply.status_code)
        return statuses

    assert await index() == {200}
    admin = stage.config.admin.model_copy(update={"repository_index": False})
    stage.config = stage.config.model_copy(update={"admin": admin})
    stage.fleet.tell(stage.config)
    async with asyncio.timeout(20):
        while await index() != {403}:
            pass
    os.kill(stage.pids()["data-1"], signal.SIGKILL)
    await until(lambda: stage.deaths)
    assert await index() == {403}


async def test_the_status_says_how_each_worker_sees_the_tritons(stage: Stage, triton: FakeTriton) -> None:
    def healthy() -> list[bool]:
        return [each["healthy"] for worker in stage.fleet.status() for each in worker.get("upstreams", ())]

    await until(lambda: healthy() == [True, True])
    await triton.refuse()
    await until(lambda: healthy() == [False, False])
    assert [worker["name"] for worker in stage.fleet.status()] == ["data-0", "data-1"]


async def test_a_port_that_is_taken_is_named_before_any_worker_starts(config: Config) -> None:
    with bind("127.0.0.1", 0, "a test's port") as taken:
        port = taken.getsockname()[1]
        busy = config.model_copy(update={"grpc": config.grpc.model_copy(update={"port": port}), "workers": 2})
        with pytest.raises(SetupError, match=rf"port {port} \(grpc.port\)"):
            Stage(busy)


async def test_a_worker_that_cannot_start_says_why(config: Config) -> None:
    stage = Stage(config)  # without a Triton
    with pytest.raises(SetupError, match="upstreams: no Triton"):
        await stage.fleet.start()
    await stage.fleet.stop()
