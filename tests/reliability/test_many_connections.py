"""Ten thousand clients that are connected and say nothing."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.reliability import http2
from tests.reliability.clients import Load, infer
from tests.reliability.serving import Serving, config_text, descriptors, resident, serve
from tests.reliability.triton import Triton

IDLE = 10_000
MIB = 2**20


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    """Room for the sockets, here and in the gateway, which inherits it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = IDLE + 1000
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, need), hard if hard < 0 else max(hard, need)))
    except (ValueError, OSError):
        pytest.skip(f"{need} open files are needed, and this machine allows {hard}: ulimit -Hn {need}")
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
async def serving(tmp_path: Path) -> AsyncIterator[Serving]:
    async with (
        asyncio.timeout(110),
        Triton() as triton,
        serve(tmp_path / "gateway.yaml", config_text([triton], idle_seconds=600, head_seconds=600)) as running,
    ):
        yield running


def http_connection(address: tuple[str, int], index: int) -> socket.socket:
    """One that has asked already, or never did."""
    raw = socket.create_connection(address, timeout=30)
    if index % 2:
        raw.sendall(infer())
        assert raw.recv(4096)[9:12] == b"200"
    return raw


def grpc_connection(address: tuple[str, int], index: int) -> socket.socket:
    """One that has been set up."""
    raw = socket.create_connection(address, timeout=30)
    raw.sendall(http2.PREFACE + http2.settings())
    assert raw.recv(9)[3] == http2.SETTINGS
    return raw


@pytest.mark.parametrize(("protocol", "connection"), [("HTTP", http_connection), ("gRPC", grpc_connection)])
async def test_ten_thousand_idle_connections_cost_little(
    serving: Serving, protocol: str, connection: Callable[[tuple[str, int], int], socket.socket]
) -> None:
    (worker,) = await serving.workers(1)
    host, _, port = serving.address(protocol).rpartition(":")
    warm = Load()
    await warm.http(serving.address("HTTP"), 200, 8)
    await warm.grpc(serving.address("gRPC"), 200, 8)
    before, files_before = resident(worker), descriptors(worker)
    idle: list[socket.socket] = []

    def connect_all() -> None:
        idle.extend(connection((host, int(port)), index) for index in range(IDLE))

    with contextlib.ExitStack() as stack:
        await asyncio.to_thread(connect_all)
        for raw in idle:
            stack.enter_context(raw)
        load = Load()
        async with asyncio.timeout(30):  # requests are still answered, by new connections
            await load.http(serving.address("HTTP"), 200, 8)
            await load.grpc(serving.address("gRPC"), 200, 8)
        assert load.outcomes == {"200": 200, "OK": 200}
        assert descriptors(worker) >= IDLE, "they are open"
        cost = resident(worker) - before
        print(f"{protocol}: {cost / IDLE:.0f} bytes a connection, {resident(worker) / MIB:.0f} MiB in all")
        assert cost < 200 * MIB
        if protocol == "HTTP":  # and by the idle ones
            idle[1].sendall(infer())
            assert (await asyncio.to_thread(idle[1].recv, 4096))[9:12] == b"200"
    async with asyncio.timeout(30):
        while descriptors(worker) > files_before + 20:
            await asyncio.sleep(0.05)
