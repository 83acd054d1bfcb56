"""A gateway that stops, is configured anew, or loses a worker, while it serves."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest

from tests.reliability.clients import GrpcClient, HttpClient, Load, infer, message
from tests.reliability.serving import Serving, clients_of, config_text, serve
from tests.reliability.triton import Triton

WELL = {"200", "OK"}


@pytest.fixture
async def triton() -> AsyncIterator[Triton]:
    async with asyncio.timeout(110), Triton() as running:
        yield running


@pytest.fixture
async def serving(triton: Triton, tmp_path: Path) -> AsyncIterator[Serving]:
    async with serve(tmp_path / "gateway.yaml", config_text([triton], workers=2)) as running:
        yield running


class Steady:
    """Clients that ask again and again until they are told not to, or an answer is not what it should be."""

    def __init__(self, serving: Serving, clients: int = 8) -> None:
        self.outcomes: Counter[str] = Counter()
        self.said: list[str | None] = []
        self.enough = False
        self._http, self._grpc = serving.address("HTTP"), serving.address("gRPC")
        self._tasks = [asyncio.create_task(self._by_http()) for _ in range(clients)]
        self._tasks += [asyncio.create_task(self._by_grpc()) for _ in range(clients // 4)]

    async def after(self, count: int) -> None:
        """Wait until so many more were answered well by each protocol."""
        before = self.outcomes.copy()
        async with asyncio.timeout(60):
            while any(self.outcomes[well] < before[well] + count for well in WELL):
                assert not any(task.done() for task in self._tasks), (self.outcomes, self.said)
                await asyncio.sleep(0.005)

    async def end(self) -> Counter[str]:
        """Let them end; what came of all that they asked."""
        self.enough = True
        return await self.turned_away()

    async def turned_away(self) -> Counter[str]:
        """Wait until each has had an answer that is not what it should be, or none."""
        async with asyncio.timeout(30):
            await asyncio.gather(*self._tasks)
        return self.outcomes

    async def _by_http(self) -> None:
        outcome, client = "200", None
        try:
            while outcome == "200" and not self.enough:
                if client is None or client.lost:
                    client = await HttpClient.connect(self._http)
                outcome = str((await client.ask(infer())).status)
                self.outcomes[outcome] += 1
        except OSError:
            self.outcomes["lost"] += 1
        finally:
            if client is not None:
                client.close()

    async def _by_grpc(self) -> None:
        async with GrpcClient(self._grpc) as client:
            while not self.enough:
                try:
                    await client.infer(message(), timeout=20)
                except grpc.aio.AioRpcError as error:
                    self.outcomes[error.code().name] += 1
                    self.said.append(error.details())
                    return
                self.outcomes["OK"] += 1


async def held(serving: Serving, triton: Triton, count: int) -> list[asyncio.Task[str]]:
    """Requests of both protocols that are at Triton, which does not answer them until its gate opens."""
    triton.gate.clear()

    async def by_http() -> str:
        client = await HttpClient.connect(serving.address("HTTP"))
        try:
            return str((await client.ask(infer("slow"))).status)
        finally:
            client.close()

    async def by_grpc() -> str:
        async with GrpcClient(serving.address("gRPC")) as client:
            await client.infer(message("slow"), timeout=60)
            return "OK"

    tasks = [asyncio.create_task(ask()) for ask in [by_http, by_grpc] for _ in range(count)]
    async with asyncio.timeout(30):
        while triton.held["http"] < count or triton.held["grpc"] < count:
            assert not any(task.done() for task in tasks), tasks
            await asyncio.sleep(0.005)
    return tasks


async def test_sigterm_under_load_fails_nothing_that_was_accepted(serving: Serving, triton: Triton) -> None:
    steady = Steady(serving)
    await steady.after(200)
    waiting = await held(serving, triton, 20)
    stopping = asyncio.create_task(serving.stop())
    outcomes = await steady.turned_away()
    triton.gate.set()
    assert await asyncio.gather(*waiting) == ["200"] * 20 + ["OK"] * 20
    code, printed = await stopping
    assert code == 0, printed
    assert "Traceback" not in printed
    # Whatever reached Triton was answered; what came too late was told so, or found nobody.
    assert outcomes["200"] == triton.asked["http"] - 20
    assert outcomes["OK"] == triton.asked["grpc"] - 20
    assert set(outcomes) <= {"200", "OK", "503", "lost", "UNAVAILABLE"}


async def test_a_new_configuration_takes_effect_without_a_failed_request(
    serving: Serving, triton: Triton, tmp_path: Path
) -> None:
    file = tmp_path / "gateway.yaml"
    async with Triton() as second:
        steady = Steady(serving)
        await steady.after(100)
        waiting = await held(serving, triton, 5)
        file.write_text(config_text([second], workers=2, deadline_seconds=29), encoding="utf-8")
        assert "upstreams" in await serving.read_until("read again")
        async with asyncio.timeout(20):
            while not (second.asked["http"] and second.asked["grpc"]):
                await asyncio.sleep(0.005)
        await steady.after(100)
        triton.gate.set()
        assert await asyncio.gather(*waiting) == ["200"] * 5 + ["OK"] * 5, "they end where they began"

        file.write_text("upstreams: [{http: nowhere}]\nlimits: {deadline: 1}\n", encoding="utf-8")
        assert "deadline" in await serving.read_until("is refused, the old one stays")
        await steady.after(100)
        outcomes = await steady.end()
        assert set(outcomes) == WELL, outcomes
        assert await serving.workers(2)
        code, printed = await serving.stop()
        assert code == 0, printed


async def test_a_killed_worker_takes_only_its_own_requests_along(serving: Serving, triton: Triton) -> None:
    address = serving.address("HTTP")
    first, _ = await serving.workers(2)
    port = int(address.rpartition(":")[2])
    clients = [await HttpClient.connect(address) for _ in range(32)]
    for client in clients:  # each has been accepted once it has an answer
        assert (await client.ask(infer())).status == 200
    doomed = clients_of(first, [port])
    assert 0 < len(doomed) < 32
    answered: dict[int, int] = {}
    failed: list[int] = []
    killed = asyncio.Event()

    async def ask_on(client: HttpClient) -> None:
        own = client.transport.get_extra_info("sockname")[1]
        answered[own] = 0
        try:
            while answered[own] < 300 or not killed.is_set():
                assert (await client.ask(infer())).status == 200
                answered[own] += 1
        except ConnectionResetError:
            failed.append(own)

    async def kill() -> None:
        async with asyncio.timeout(30):
            while sum(answered.values()) < 1000:
                await asyncio.sleep(0.001)
        os.kill(first, signal.SIGKILL)
        killed.set()

    await asyncio.gather(kill(), *(ask_on(client) for client in clients))
    assert set(failed) == doomed, "one failure for each connection of the dead worker, none for the other's"
    assert len(failed) == len(doomed)
    assert all(answered[own] >= 300 for own in answered if own not in doomed)
    for client in clients:
        client.close()
    await serving.read_until(r"data.* process died")
    assert first not in await serving.workers(2)
    load = Load()
    async with asyncio.timeout(30):
        await load.http(address, 200, 16)
    assert load.outcomes == {"200": 200}
    code, _ = await serving.stop()
    assert code == 0
