"""After tens of thousands of requests of every kind nothing is left of them: no task, no socket, no memory."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import grpc.aio
import pytest

from tests.reliability.clients import GrpcClient, HttpClient, Load, generate_stream, infer, message
from tests.reliability.conftest import Plane
from tests.reliability.serving import config_text, descriptors, resident, serve
from tests.reliability.triton import SERVICE, Triton

CLIENTS = 16
MIB = 2**20
REQUESTS = int(os.environ.get("LEAK_REQUESTS", "50000"))
GROWTH = 6 * MIB  # of the allocator; one small object left of each request would be more


class Mixed:
    """Requests of every kind, one after another for each client.

    Args:
        http: "host:port" of the gateway's HTTP.
        grpc: "host:port" of its gRPC.
    """

    def __init__(self, http: str, grpc: str) -> None:
        self._http, self._grpc = http, grpc
        self._kept: dict[int, HttpClient] = {}
        self._channels: list[GrpcClient] = []
        self._turn = 0
        self._kinds: list[Callable[[int], Awaitable[str]]] = [
            *[self._infer] * 10,
            *[self._grpc_infer] * 5,
            self._error,
            self._refused,
            self._broken_off,
            self._gone,
            self._garbage,
            self._events,
            self._events_broken_off,
            self._grpc_unknown,
            self._grpc_cancelled,
            self._grpc_stream,
            self._grpc_stream_broken_off,
        ]

    async def run(self, requests: int) -> Counter[str]:
        """Make so many; what came of them."""
        load = Load()
        self._channels = [GrpcClient(self._grpc) for _ in range(2)]
        try:
            await load.run(self._one, requests, CLIENTS)
        finally:
            for client in self._kept.values():
                client.close()
            self._kept.clear()
            for channel in self._channels:
                await channel.channel.close()
        return load.outcomes

    async def _one(self, index: int) -> str:
        self._turn += 1
        kind = self._kinds[self._turn % len(self._kinds)]
        return f"{kind.__name__[1:]} {await kind(index)}"

    async def _asked(self, index: int, request: bytes) -> str:
        client = self._kept.get(index)
        if client is None or client.lost:
            client = self._kept[index] = await HttpClient.connect(self._http)
        return str((await client.ask(request)).status)

    async def _infer(self, index: int) -> str:
        return await self._asked(index, infer())

    async def _error(self, index: int) -> str:
        return await self._asked(index, infer("nobody"))

    async def _refused(self, index: int) -> str:
        return await self._asked(index, b"POST /v2/models/echo/unload HTTP/1.1\r\nhost: t\r\ncontent-length: 0\r\n\r\n")

    async def _broken_off(self, _: int) -> str:
        client = await HttpClient.connect(self._http)
        client.transport.write(infer()[:-10])
        client.close()
        return "done"

    async def _gone(self, _: int) -> str:
        client = await HttpClient.connect(self._http)
        client.transport.write(infer() * 3)
        client.close()
        return "done"

    async def _garbage(self, _: int) -> str:
        client = await HttpClient.connect(self._http)
        try:
            return str((await client.ask(b"GET \x00\x01 nonsense\r\n\r\n")).status)
        except ConnectionResetError:
            return "closed"
        finally:
            client.close()

    async def _events(self, index: int, until: bytes = b"0\r\n\r\n") -> str:
        host, _, port = self._http.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(generate_stream())
        with contextlib.suppress(asyncio.IncompleteReadError):
            await reader.readuntil(until)
        writer.transport.abort()
        return "done"

    async def _events_broken_off(self, index: int) -> str:
        return await self._events(index, b'{"n":0}')

    async def _grpc_infer(self, index: int) -> str:
        return "OK" if await self._channels[index % 2].infer(message(), timeout=20) == message() else "wrong"

    async def _grpc_unknown(self, index: int) -> str:
        nothing: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
        nothing = self._channels[index % 2].channel.unary_unary(SERVICE + "Nothing")
        try:
            await nothing(b"", timeout=20)
        except grpc.aio.AioRpcError as error:
            return error.code().name
        return "OK"

    async def _grpc_cancelled(self, index: int) -> str:
        call = self._channels[index % 2].infer(message(), timeout=20)
        task = asyncio.ensure_future(call)
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return "done"

    async def _grpc_stream(self, index: int) -> str:
        stream = self._channels[index % 2].stream(iter([message()] * 3), timeout=20)
        return str(len([each async for each in stream]))

    async def _grpc_stream_broken_off(self, index: int) -> str:
        stream = self._channels[index % 2].stream(timeout=20)
        await stream.write(message("endless"))
        await stream.read()
        stream.cancel()
        return "done"


def as_expected(outcomes: Counter[str]) -> None:
    """Each kind ended as it should."""
    assert set(outcomes) <= {
        "infer 200",
        "grpc_infer OK",
        "error 404",
        "error 400",
        "refused 404",
        "refused 403",
        "broken_off done",
        "gone done",
        "garbage 400",
        "garbage closed",
        "events done",
        "events_broken_off done",
        "grpc_unknown UNIMPLEMENTED",
        "grpc_cancelled done",
        "grpc_stream 3",
        "grpc_stream_broken_off done",
    }, outcomes


@pytest.fixture
async def triton() -> AsyncIterator[Triton]:
    async with Triton() as running:
        yield running


async def test_no_task_and_no_socket_is_left(triton: Triton, plane: Plane) -> None:
    upstreams = f"upstreams=[{{http: '{triton.http}', grpc: '{triton.grpc}'}}]"
    async with asyncio.timeout(60), plane([], upstreams) as gateway:
        mixed = Mixed(gateway.addresses["http"], gateway.addresses["grpc"])
        as_expected(await mixed.run(500))
        gc.collect()
        await settled(lambda: len(asyncio.all_tasks()), 1000)
        tasks, files = len(asyncio.all_tasks()), descriptors(os.getpid())
        as_expected(await mixed.run(2500))
        # The pool may keep up to one idle connection to Triton for each client that was there.
        await settled(lambda: len(asyncio.all_tasks()), tasks + 2)
        await settled(lambda: descriptors(os.getpid()), files + CLIENTS)


async def settled(count: Callable[[], int], limit: int) -> None:
    """Wait until there are no more than `limit`."""
    async with asyncio.timeout(10):
        while count() > limit:
            await asyncio.sleep(0.02)
            gc.collect()


@pytest.mark.timeout(60 + REQUESTS // 200)
async def test_no_memory_is_left(triton: Triton, tmp_path: Path) -> None:
    async with serve(tmp_path / "gateway.yaml", config_text([triton])) as serving:
        (worker,) = await serving.workers(1)
        mixed = Mixed(serving.address("HTTP"), serving.address("gRPC"))
        as_expected(await mixed.run(3000))
        warm, files = resident(worker), descriptors(worker)
        as_expected(await mixed.run(REQUESTS))
        grown = resident(worker) - warm
        print(f"{warm / MIB:.1f} MiB, and {grown / MIB:.2f} more after {REQUESTS} requests")
        assert grown < GROWTH
        await settled(lambda: descriptors(worker), files + CLIENTS)
        assert (await serving.workers(1)) == [worker]
        async with asyncio.timeout(10):  # of 20 that requests in flight would have: none is counted that is gone
            code, printed = await serving.stop()
        assert code == 0
        assert "Traceback" not in "\n".join(serving.lines) + printed
