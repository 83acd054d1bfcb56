"""A client that goes away takes its work in Triton along."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc.aio
import pytest

from gateway.app import DataPlane
from tests.reliability.clients import GrpcClient, HttpClient, generate_stream, infer, message, once
from tests.reliability.conftest import Plane
from tests.reliability.triton import Triton, stream_response


@pytest.fixture
async def triton() -> AsyncIterator[Triton]:
    async with asyncio.timeout(60), Triton() as running:
        yield running


@pytest.fixture
async def gateway(triton: Triton, plane: Plane) -> AsyncIterator[DataPlane]:
    upstreams = f"upstreams=[{{http: '{triton.http}', grpc: '{triton.grpc}'}}]"
    async with plane([], upstreams, "limits.deadline_seconds=60") as running:
        yield running


async def until(count: int, of: str, counter: dict[str, int]) -> None:
    async with asyncio.timeout(10):
        while counter[of] < count:
            await asyncio.sleep(0.001)


async def still_serves(gateway: DataPlane) -> None:
    assert (await once(gateway.addresses["http"], infer())).status == 200
    async with GrpcClient(gateway.addresses["grpc"]) as client:
        assert await client.infer(message(), timeout=10) == message()


async def test_http_disconnect_closes_the_connection_to_triton(gateway: DataPlane, triton: Triton) -> None:
    triton.gate.clear()
    clients = [await HttpClient.connect(gateway.addresses["http"]) for _ in range(5)]
    waiting = [client.ask(infer("slow")) for client in clients]
    await until(5, "http", triton.asked)
    for client in clients[:3]:
        client.close()
    await until(3, "http", triton.abandoned)
    triton.gate.set()
    assert [(await answer).status for answer in waiting[3:]] == [200, 200]
    assert triton.abandoned["http"] == 3
    for each in waiting[:3]:
        with pytest.raises(ConnectionResetError):
            await each
    for client in clients[3:]:
        client.close()
    await still_serves(gateway)


async def test_an_event_streams_end_closes_the_connection_to_triton(gateway: DataPlane, triton: Triton) -> None:
    host, _, port = gateway.addresses["http"].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(generate_stream("endless"))
    await reader.readuntil(b'{"n":3}')
    writer.transport.abort()
    await until(1, "http", triton.abandoned)
    await still_serves(gateway)


async def test_grpc_cancel_resets_the_stream_to_triton(gateway: DataPlane, triton: Triton) -> None:
    triton.gate.clear()
    async with GrpcClient(gateway.addresses["grpc"]) as client:
        calls = [client.infer(message("slow"), timeout=30) for _ in range(5)]
        tasks = [asyncio.ensure_future(call) for call in calls]
        await until(5, "grpc", triton.asked)
        for call in calls[:3]:
            call.cancel()
        await until(3, "grpc", triton.abandoned)
        triton.gate.set()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert ended[3:] == [message("slow")] * 2, "one connection, and the others on it live on"
        assert all(isinstance(each, asyncio.CancelledError) for each in ended[:3])
        assert triton.abandoned["grpc"] == 3
    await still_serves(gateway)


async def test_grpc_connection_lost_resets_its_streams(gateway: DataPlane, triton: Triton) -> None:
    triton.gate.clear()
    async with GrpcClient(gateway.addresses["grpc"]) as client:
        tasks = [asyncio.ensure_future(client.infer(message("slow"), timeout=30)) for _ in range(3)]
        await until(3, "grpc", triton.asked)
    await until(3, "grpc", triton.abandoned)
    triton.gate.set()
    for each in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(each, asyncio.CancelledError | grpc.aio.UsageError | grpc.aio.AioRpcError)
    await still_serves(gateway)


async def test_grpc_deadline_ends_the_work_in_triton(gateway: DataPlane, triton: Triton) -> None:
    triton.gate.clear()
    async with GrpcClient(gateway.addresses["grpc"]) as client:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await client.infer(message("slow"), timeout=0.3)
    assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await until(1, "grpc", triton.abandoned)
    triton.gate.set()
    await still_serves(gateway)


async def test_http_deadline_ends_the_work_in_triton(gateway: DataPlane, triton: Triton) -> None:
    triton.gate.clear()
    reply = await once(gateway.addresses["http"], infer("slow", extra=b"x-request-timeout-ms: 300\r\n"))
    assert reply.status == 504
    await until(1, "http", triton.abandoned)
    triton.gate.set()
    await still_serves(gateway)


async def test_stream_cancel_resets_the_stream_to_triton(gateway: DataPlane, triton: Triton) -> None:
    async with GrpcClient(gateway.addresses["grpc"]) as client:
        stream, other = client.stream(), client.stream()
        for each in (stream, other):
            await each.write(message("endless"))
            await each.read()
        stream.cancel()
        await until(1, "grpc", triton.abandoned)
        for _ in range(20):
            assert await other.read() == stream_response(message("endless"), more=True)
        assert triton.abandoned["grpc"] == 1
        other.cancel()
        await until(2, "grpc", triton.abandoned)
    await still_serves(gateway)
