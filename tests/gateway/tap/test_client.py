import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.tap.client import TapClient
from gateway.tap.exchange import Exchange
from gateway.tap.frames import MOST_BYTES
from gateway.tap.server import TapServer
from tests.gateway.tap.test_base import exchange


class Taker:
    """Takes exchanges, while its gate is open."""

    def __init__(self) -> None:
        self.taken: list[Exchange] = []
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, exchange: Exchange) -> None:
        self.begun.set()
        await self.gate.wait()
        self.taken.append(exchange)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "private" / "tap"


async def test_it_connects_when_it_is_first_needed(path: Path) -> None:
    taker, client = Taker(), TapClient(path)
    async with TapServer(path, taker):
        assert client.status() == {"taken": 0, "dropped": 0, "connected": False}
        client.offer(exchange())
        await until(lambda: len(taker.taken) == 1)
        assert client.status() == {"taken": 1, "dropped": 0, "connected": True}
        await client.aclose()
    assert client.status() == {"taken": 1, "dropped": 0, "connected": False}


async def test_what_waits_is_bounded_in_bytes(path: Path) -> None:
    client = TapClient(path)
    large = exchange(bytes(MOST_BYTES // 4))
    assert [client.offer(large) for _ in range(4)] == [True, True, True, False]
    assert client.offer(exchange(b"a small one"))
    await client.aclose()
    assert client.status() == {"taken": 4, "dropped": 5, "connected": False}  # one had no room, nobody took the others


async def test_what_waits_is_bounded_in_number(path: Path) -> None:
    client = TapClient(path)
    assert [client.offer(exchange()) for _ in range(513)] == [True] * 512 + [False]
    await client.aclose()


async def test_an_exchange_larger_than_the_room_is_dropped(path: Path) -> None:
    client = TapClient(path)
    assert not client.offer(exchange(bytes(MOST_BYTES)))  # and its answers
    await client.aclose()


async def test_what_was_handed_over_makes_room(path: Path) -> None:
    taker, client = Taker(), TapClient(path)
    async with TapServer(path, taker):
        for number in range(1, 4):
            assert client.offer(exchange(bytes(MOST_BYTES // 2)))
            await until(lambda number=number: len(taker.taken) == number)  # type: ignore[misc]
            taker.taken[-1] = exchange()
            await until(lambda: not client._bytes)
        await client.aclose()


async def test_it_waits_for_a_tap_process_that_is_not_there_yet(path: Path) -> None:
    taker, client = Taker(), TapClient(path)
    assert client.offer(exchange(b"early"))
    await until(lambda: client._told)  # it has tried, and waits
    async with TapServer(path, taker):
        await until(lambda: len(taker.taken) == 1)
        await client.aclose()
    assert client.status() == {"taken": 1, "dropped": 0, "connected": False}


async def test_it_finds_the_next_tap_process(path: Path) -> None:
    taker, client = Taker(), TapClient(path)
    async with TapServer(path, taker, last_seconds=0):
        client.offer(exchange(b"1"))
        await until(lambda: len(taker.taken) == 1)
    await until(lambda: not client.status()["connected"])
    async with TapServer(path, taker):
        client.offer(exchange(b"2"))
        await until(lambda: len(taker.taken) == 2)
        await client.aclose()
    assert [each.request for each in taker.taken] == [b"1", b"2"]


async def test_a_tap_process_that_ends_in_the_middle_costs_what_was_on_its_way(path: Path) -> None:
    taker, client = Taker(), TapClient(path)
    taker.gate.clear()
    count, size = 20, 2**20
    async with TapServer(path, taker, last_seconds=0):
        for _ in range(count):
            assert client.offer(exchange(bytes(size)))
        await taker.begun.wait()
    taker.gate.set()
    async with TapServer(path, taker):
        await until(lambda: not client._waiting and not client._bytes)
        await client.aclose()
    lost = count - len(taker.taken)
    assert 0 < lost < count  # the one that was being taken at least, and what the kernel held
    assert client.status()["dropped"] <= lost


async def test_at_the_end_what_waits_is_handed_over(path: Path) -> None:
    taker, client = Taker(), TapClient(path)
    async with TapServer(path, taker):
        for _ in range(100):
            client.offer(exchange(bytes(2**18)))
        await client.aclose()
        await until(lambda: len(taker.taken) == 100)


async def test_a_tap_process_that_hangs_does_not_hold_up_the_end(path: Path) -> None:
    taker, client = Taker(), TapClient(path, last_seconds=0.01)
    taker.gate.clear()
    async with TapServer(path, taker, last_seconds=0):
        for _ in range(20):
            client.offer(exchange(bytes(2**20)))
        await taker.begun.wait()
        await client.aclose()
    status = client.status()
    assert (status["taken"], status["connected"]) == (20, False)
    assert 0 < status["dropped"] < 20


async def test_text_that_is_no_unicode_is_left_out(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    taker, client = Taker(), TapClient(path)
    async with TapServer(path, taker):
        client.offer(exchange(tenant="\ud800"))
        client.offer(exchange(b"the next"))
        await client.aclose()
        await until(lambda: len(taker.taken) == 1)
    assert taker.taken[0].request == b"the next"
    assert client.status()["dropped"] == 1
    assert "not Unicode" in caplog.text


async def test_the_log_says_once_that_nobody_is_there(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    client = TapClient(path)
    client.offer(exchange())
    await until(lambda: client._told)
    client.offer(exchange())
    await client.aclose()
    assert caplog.text.count("the tap process cannot be reached") == 1
