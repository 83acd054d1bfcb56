import asyncio
import stat
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from gateway.core.errors import SetupError
from gateway.tap import frames
from gateway.tap.client import TapClient
from gateway.tap.exchange import Exchange
from gateway.tap.server import TapServer
from tests.gateway.tap.test_base import exchange
from tests.gateway.tap.test_client import Taker, until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "private" / "tap"


@pytest.fixture
async def taker(path: Path) -> AsyncIterator[Taker]:
    """What gets the exchanges of a running server."""
    taker = Taker()
    async with TapServer(path, taker):
        yield taker


def frame(exchange: Exchange) -> bytes:
    return b"".join(frames.pieces(exchange))


async def said(path: Path, data: bytes) -> None:
    """Send `data` and wait until the server hangs up."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(data)
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def entered(path: Path) -> TapServer:
    return await TapServer(path, Taker()).__aenter__()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_nobody_else_can_reach_the_socket(path: Path, taker: Taker) -> None:
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)


def test_a_folder_that_others_can_look_into_is_refused(path: Path) -> None:
    path.parent.mkdir(mode=0o755)
    with pytest.raises(SetupError, match="chmod 700"):
        asyncio.run(entered(path))
    assert not path.exists()


def test_a_path_that_is_too_long_is_told(path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be made"):
        asyncio.run(entered(path.with_name("t" * 120)))


def test_what_is_no_socket_stays(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.write_text("mine")
    with pytest.raises(SetupError, match="cannot be made"):
        asyncio.run(entered(path))
    assert path.read_text() == "mine"


async def test_the_socket_of_a_process_that_was_killed_is_replaced(path: Path) -> None:
    first = await entered(path)
    taker = Taker()
    async with TapServer(path, taker):
        client = TapClient(path)
        client.offer(exchange())
        await client.aclose()
        await until(lambda: len(taker.taken) == 1)
    await first.__aexit__()
    assert await asyncio.to_thread(path.exists) is False


async def test_many_workers(path: Path, taker: Taker) -> None:
    clients = [TapClient(path) for _ in range(8)]
    for number in range(25):
        for index, client in enumerate(clients):
            assert client.offer(exchange(request_id=str(index), arrived=number))
    await asyncio.gather(*[client.aclose() for client in clients])
    await until(lambda: len(taker.taken) == 200)
    for index in range(8):
        assert [each.arrived for each in taker.taken if each.request_id == str(index)] == list(range(25))


async def test_frames_in_pieces(path: Path, taker: Taker) -> None:
    _, writer = await asyncio.open_unix_connection(path)
    for byte in frame(exchange()):
        writer.write(bytes([byte]))
        await writer.drain()
    await until(lambda: len(taker.taken) == 1)
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 12,
        struct.pack(">IQ", 100, 2**40),
        struct.pack(">IQ", 3, 0) + b"\xc1\xc1\xc1",
        struct.pack(">IQ", 1, 0) + msgspec.msgpack.encode(7),
        struct.pack(">IQ", 0, 0),
    ],
)
async def test_what_is_no_exchange_ends_that_connection_alone(
    path: Path, taker: Taker, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    other = TapClient(path)
    other.offer(exchange(b"1"))
    await until(lambda: len(taker.taken) == 1)
    await said(path, frame(exchange(b"2")) + data)
    other.offer(exchange(b"3"))
    await other.aclose()
    await until(lambda: len(taker.taken) == 3)
    assert [each.request for each in taker.taken] == [b"1", b"2", b"3"]
    assert "what is no exchange" in caplog.text


@pytest.mark.parametrize("cut", [3, 17, -3])
async def test_a_worker_that_dies_in_the_middle_of_a_frame(
    path: Path, taker: Taker, cut: int, caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await asyncio.open_unix_connection(path)
    writer.write(frame(exchange())[:cut])
    writer.close()
    await writer.wait_closed()
    await until(lambda: "connection broke" in caplog.text)
    assert taker.taken == []


async def test_an_exchange_that_cannot_be_taken_is_told_and_the_next_is_taken(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    taken: list[Exchange] = []

    async def take(exchange: Exchange) -> None:
        if exchange.request == b"bad":
            raise RuntimeError("no")
        taken.append(exchange)

    async with TapServer(path, take):
        client = TapClient(path)
        client.offer(exchange(b"bad"))
        client.offer(exchange(b"good"))
        await client.aclose()
        await until(lambda: len(taken) == 1)
    assert "could not be taken" in caplog.text


async def test_it_reads_no_further_while_an_exchange_is_being_taken(path: Path) -> None:
    taker, client = Taker(), TapClient(path)
    taker.gate.clear()
    async with TapServer(path, taker):
        for _ in range(40):
            client.offer(exchange(bytes(2**20)))
        await taker.begun.wait()
        for _ in range(200):
            await asyncio.sleep(0)
        assert len(client._waiting) > 30
        taker.gate.set()
        await client.aclose()
        await until(lambda: len(taker.taken) == 40)
