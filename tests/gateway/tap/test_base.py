"""What every tap must do: the fake, and the real one with its two ends."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway.tap.base import ClosedTap, Tap
from gateway.tap.client import TapClient
from gateway.tap.exchange import Answer, Exchange
from gateway.tap.fake import FakeTap
from gateway.tap.server import TapServer


class Door(NamedTuple):
    """A tap, and what has come through it once it is closed."""

    tap: Tap
    arrived: Callable[[], list[Exchange]]


def exchange(request: bytes = b"a request", **given: Any) -> Exchange:
    answers = tuple(
        Answer(target, "echo", "1", 200, b"answer of " + target.encode(), 7, "gzip", "fine", 0.25)
        for target in ("old", "new")
    )
    values: dict[str, Any] = {
        "purpose": "compare",
        "route": "echo",
        "mirror": "new",
        "epoch": "e",
        "protocol": "http",
        "model": "echo",
        "version": "",
        "request_id": "a-request",
        "tenant": "t",
        "arrived": 1,
        "request": request,
        "header_length": None,
        "answers": answers,
    }
    return Exchange(**(values | given))


@pytest.fixture(params=["fake", "socket"])
async def door(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Door]:
    if request.param == "fake":
        fake = FakeTap()
        yield Door(fake, lambda: fake.offered)
        return
    taken: list[Exchange] = []

    async def take(exchange: Exchange) -> None:
        taken.append(exchange)

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(TapServer(tmp_path / "private" / "tap", take))
        client = TapClient(tmp_path / "private" / "tap")
        stack.push_async_callback(client.aclose)
        yield Door(client, lambda: taken)


async def settled(door: Door, count: int) -> list[Exchange]:
    """What has come through a closed door, once it is so many."""
    async with asyncio.timeout(10):
        while len(door.arrived()) < count:
            await asyncio.sleep(0)
    return door.arrived()


async def test_exchanges_come_through_whole_and_in_order(door: Door) -> None:
    offered = [exchange(str(number).encode(), arrived=number) for number in range(20)]
    assert [door.tap.offer(each) for each in offered] == [True] * 20
    await door.tap.aclose()
    assert await settled(door, 20) == offered


async def test_bytes_of_any_length_and_value(door: Door) -> None:
    offered = [exchange(bytes(range(256)) * size, tenant="Ωmega\0", header_length=size) for size in (0, 1, 20_000)]
    assert all(door.tap.offer(each) for each in offered)
    await door.tap.aclose()
    assert await settled(door, 3) == offered


async def test_a_body_that_was_received_in_place(door: Door) -> None:
    assert door.tap.offer(exchange(bytearray(b"received")))  # type: ignore[arg-type]
    await door.tap.aclose()
    (arrived,) = await settled(door, 1)
    assert arrived.request == b"received"


async def test_nothing_is_taken_after_the_end(door: Door) -> None:
    assert door.tap.offer(exchange())
    await door.tap.aclose()
    assert not door.tap.offer(exchange())
    assert len(await settled(door, 1)) == 1


async def test_closing_twice_and_without_use(door: Door) -> None:
    await door.tap.aclose()
    await door.tap.aclose()
    assert door.arrived() == []


async def test_a_closed_tap_takes_nothing() -> None:
    tap: Tap = ClosedTap()
    assert not tap.offer(exchange())
    await tap.aclose()
    assert not tap.offer(exchange())
