"""Clients that do not read, or do not finish what they say: the others are served as if they were not there."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from gateway.app import DataPlane
from tests.reliability import http2
from tests.reliability.clients import GrpcClient, Load, infer, message
from tests.reliability.conftest import Plane
from tests.reliability.triton import BIG, Triton

STUCK = 20


@pytest.fixture
async def triton() -> AsyncIterator[Triton]:
    async with asyncio.timeout(100), Triton() as running:
        yield running


@pytest.fixture
async def gateway(triton: Triton, plane: Plane) -> AsyncIterator[DataPlane]:
    upstreams = f"upstreams=[{{http: '{triton.http}', grpc: '{triton.grpc}'}}]"
    limits = "limits={deadline_seconds: 60, head_seconds: 60, max_connections: 64}"
    async with plane([], upstreams, limits) as running:
        yield running


def connect(address: str) -> socket.socket:
    """A connection that takes in little."""
    host, _, port = address.rpartition(":")
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect((host, int(port)))
    raw.setblocking(False)
    return raw


async def receive(raw: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size and (piece := await asyncio.get_running_loop().sock_recv(raw, 2**20)):
        received += piece
    return bytes(received)


async def others_are_served(gateway: DataPlane) -> None:
    load = Load()
    async with asyncio.timeout(30):
        await load.http(gateway.addresses["http"], 200, 4)
        await load.grpc(gateway.addresses["grpc"], 200, 4)
    assert load.outcomes == {"200": 200, "OK": 200}


async def test_unfinished_http_requests_stall_nobody(gateway: DataPlane, triton: Triton) -> None:
    request = infer(body=b'{"inputs":[]}' + b" " * 5000)
    stuck = [connect(gateway.addresses["http"]) for _ in range(STUCK)]
    for index, raw in enumerate(stuck):  # in the head, after it, and in the body
        raw.send(request[: (30, request.index(b"\r\n\r\n") + 4, 2000)[index % 3]])
    await others_are_served(gateway)
    assert triton.asked["http"] == 200, "they are stuck still, and Triton knows nothing of them"
    for index, raw in enumerate(stuck):
        raw.send(request[(30, request.index(b"\r\n\r\n") + 4, 2000)[index % 3] :])
    for raw in stuck:
        assert (await receive(raw, 12))[9:12] == b"200"
        raw.close()


async def test_http_clients_that_do_not_read_stall_nobody(gateway: DataPlane, triton: Triton) -> None:
    stuck = [connect(gateway.addresses["http"]) for _ in range(4)]
    for raw in stuck:
        raw.send(infer("big"))
    await others_are_served(gateway)
    async with asyncio.timeout(10):
        while triton.asked["http"] < 204:
            await asyncio.sleep(0.01)
    await others_are_served(gateway)
    assert triton.asked["http"] == 404
    received = await receive(stuck[0], BIG)
    assert received[9:12] == b"200", "it is whole once somebody reads it"
    assert received.endswith(b"x" * 1000)
    for raw in stuck:
        raw.close()
    await others_are_served(gateway)


async def test_unfinished_grpc_requests_stall_nobody(gateway: DataPlane, triton: Triton) -> None:
    stuck = [connect(gateway.addresses["grpc"]) for _ in range(STUCK)]
    begun = http2.PREFACE + http2.settings() + http2.frame(http2.HEADERS, 4, 1, http2.request_fields())
    said = http2.prefixed(message(data=b"1" * 100))
    for index, raw in enumerate(stuck):
        raw.send(begun[: (20, len(begun) - 10, len(begun))[index % 3]])
        if index % 3 == 2:
            raw.send(http2.frame(http2.DATA, 0, 1, said[:50]))
    await others_are_served(gateway)
    assert triton.asked["grpc"] == 200
    last = stuck[2]
    last.send(http2.frame(http2.DATA, http2.END_STREAM, 1, said[50:]))
    received = b""
    async with asyncio.timeout(10):
        while said not in received:
            received += await asyncio.get_running_loop().sock_recv(last, 65536)
    for raw in stuck:
        raw.close()


async def test_grpc_clients_that_grant_no_window_stall_nobody(gateway: DataPlane, triton: Triton) -> None:
    stuck = [connect(gateway.addresses["grpc"]) for _ in range(4)]
    for raw in stuck:
        raw.send(
            http2.PREFACE
            + http2.settings(s4=0)
            + http2.frame(http2.HEADERS, http2.END_HEADERS, 1, http2.request_fields())
            + http2.frame(http2.DATA, http2.END_STREAM, 1, http2.prefixed(message("big")))
        )
    await others_are_served(gateway)
    async with asyncio.timeout(10):
        while triton.asked["grpc"] < 204:
            await asyncio.sleep(0.01)
    await others_are_served(gateway)
    for raw in stuck:
        assert http2.DATA not in {each.kind for each in http2.frames_of(await available(raw))}
        raw.close()
    await others_are_served(gateway)


async def available(raw: socket.socket) -> bytes:
    received = b""
    while True:
        try:
            piece = raw.recv(65536)
        except BlockingIOError:
            return received
        received += piece
        assert piece, "it was closed"


async def test_a_stream_whose_client_does_not_read_stalls_no_other_of_its_connection(gateway: DataPlane) -> None:
    async with GrpcClient(gateway.addresses["grpc"]) as client:
        unread = client.stream()
        await unread.write(message("endless", b"1" * 90))
        assert await unread.read()
        for _ in range(200):  # on the same connection, while the other stream's window fills
            assert await client.infer(message(), timeout=20) == message()
        unread.cancel()
