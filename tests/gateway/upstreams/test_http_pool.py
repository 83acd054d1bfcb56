import asyncio

import pytest

from gateway.config import LimitsSection
from gateway.core.deadline import Deadline
from gateway.core.errors import DeadlineExceeded, Overloaded, UpstreamUnavailable
from gateway.upstreams.http_connection import HttpConnection
from gateway.upstreams.http_pool import HttpPool
from tests.gateway.upstreams.conftest import Listen

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
GET = b"GET / HTTP/1.1\r\n\r\n"
SOON = 0.05


class Peer:
    """Answers every request, and can end its connections."""

    def __init__(self, listen: Listen) -> None:
        self._listen = listen
        self.writers: list[asyncio.StreamWriter] = []

    async def pool(self, **limits: float) -> HttpPool:
        host, _, port = (await self._listen(self._serve)).rpartition(":")
        return HttpPool(host, int(port), LimitsSection.model_validate(limits))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)


@pytest.fixture
def peer(listen: Listen) -> Peer:
    return Peer(listen)


def later(seconds: float = 5) -> Deadline:
    return Deadline.after(seconds)


async def used(pool: HttpPool) -> HttpConnection:
    connection = await pool.acquire(later())
    assert (await connection.ask(GET, b"")).status == 200
    pool.release(connection)
    return connection


async def test_the_connection_used_last_is_used_next(peer: Peer) -> None:
    pool = await peer.pool()
    first, second = await pool.acquire(later()), await pool.acquire(later())
    for connection in (first, second):
        await connection.ask(GET, b"")
    pool.release(second)
    pool.release(first)
    assert await used(pool) is first
    assert await used(pool) is first
    pool.close()


async def test_a_connection_that_triton_closed_is_replaced(peer: Peer) -> None:
    pool = await peer.pool(max_connections=1)
    first = await used(pool)
    peer.writers[0].close()
    while not first.closing:
        await asyncio.sleep(0)
    assert await used(pool) is not first
    pool.close()


async def test_who_waits_longest_is_next(peer: Peer) -> None:
    pool = await peer.pool(max_connections=1)
    held = await pool.acquire(later())
    order: list[int] = []

    async def take(number: int) -> None:
        connection = await pool.acquire(later())
        order.append(number)
        await connection.ask(GET, b"")
        pool.release(connection)

    tasks = []
    for number in range(5):
        tasks.append(asyncio.create_task(take(number)))
        await asyncio.sleep(0)
    held.close()  # the room for a new connection is handed on like a connection
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3, 4]
    assert len(peer.writers) == 2
    pool.close()


async def test_too_many_may_not_wait(peer: Peer) -> None:
    pool = await peer.pool(max_connections=1, max_waiting=1)
    held = await pool.acquire(later())
    waiting = asyncio.create_task(pool.acquire(later()))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await pool.acquire(later())
    await held.ask(GET, b"")
    pool.release(held)
    assert await waiting is held
    pool.close()


async def test_waiting_ends_with_the_time_and_takes_nothing_with_it(peer: Peer) -> None:
    pool = await peer.pool(max_connections=1)
    held = await pool.acquire(later())
    with pytest.raises(DeadlineExceeded):
        await pool.acquire(later(SOON))
    waiting = asyncio.create_task(pool.acquire(later()))
    await asyncio.sleep(0)
    await held.ask(GET, b"")
    pool.release(held)
    waiting.cancel()  # at the moment that it was given the connection
    await asyncio.gather(waiting, return_exceptions=True)
    assert await pool.acquire(later()) is held
    pool.close()


async def test_room_that_nobody_wants_any_more_is_not_lost(peer: Peer) -> None:
    pool = await peer.pool(max_connections=1)
    held = await pool.acquire(later())
    waiting = asyncio.create_task(pool.acquire(later()))
    await asyncio.sleep(0)
    held.close()
    while not waiting.cancelled():
        waiting.cancel()
        await asyncio.sleep(0)
    assert (await pool.acquire(later(1))) is not held
    pool.close()


async def test_a_port_that_nobody_listens_on_is_unavailable_again_and_again() -> None:
    pool = HttpPool("127.0.0.1", 1, LimitsSection(max_connections=2))
    for _ in range(5):
        with pytest.raises(UpstreamUnavailable):
            await pool.acquire(later())
    pool.close()


async def test_connecting_takes_no_longer_than_it_may() -> None:
    pool = HttpPool("192.0.2.1", 9, LimitsSection(connect_timeout_seconds=SOON))  # an address that answers nobody
    with pytest.raises(UpstreamUnavailable):
        await pool.acquire(later())
    with pytest.raises((DeadlineExceeded, UpstreamUnavailable)):
        await pool.acquire(later(SOON / 5))
    pool.close()


async def test_after_its_end_there_is_nothing_to_have(peer: Peer) -> None:
    pool = await peer.pool(max_connections=1)
    held = await pool.acquire(later())
    waiting = asyncio.create_task(pool.acquire(later()))
    await asyncio.sleep(0)
    pool.close()
    for attempt in (waiting, pool.acquire(later())):
        with pytest.raises(UpstreamUnavailable):
            await attempt
    assert held.closing
    pool.release(held)
