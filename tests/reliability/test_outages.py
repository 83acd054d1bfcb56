"""Tritons die: one of three is hardly noticed; if all are gone, clients are told soon, without a storm of retries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import grpc
import grpc.aio
import pytest

from tests.chaos import Fault
from tests.reliability.clients import BODY, GrpcClient, Load, infer, message, once
from tests.reliability.conftest import Frail, Plane, frail

REQUESTS = 3000
CLIENTS = 32


@pytest.fixture
async def three() -> AsyncIterator[list[Frail]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(frail()) for _ in range(3)]


async def all_have_been_asked(tritons: list[Frail], ask: Load, protocol: str, address: str) -> None:
    """Keep asking until each of the Tritons got one of the requests."""
    before = [each.triton.total for each in tritons]
    async with asyncio.timeout(10):
        while not all(each.triton.total > count for each, count in zip(tritons, before, strict=True)):
            await (ask.http if protocol == "http" else ask.grpc)(address, 320, CLIENTS)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
async def test_one_dead_of_three_is_hardly_noticed(three: list[Frail], plane: Plane, protocol: str) -> None:
    async with plane(three) as gateway:
        load, address = Load(), gateway.addresses[protocol]
        victim = three[1]
        proxy = victim.http if protocol == "http" else victim.grpc

        async def kill() -> None:
            await load.after(REQUESTS // 3)
            await victim.die()

        run = load.http if protocol == "http" else load.grpc
        async with asyncio.timeout(60):
            await asyncio.gather(run(address, REQUESTS, CLIENTS), kill())
        well = load.outcomes["200"] + load.outcomes["OK"]
        failed = load.outcomes.total() - well
        # What was in flight on the connections that died cannot be helped: an inference is not sent twice.
        assert load.outcomes.total() == REQUESTS
        assert failed <= 0.005 * REQUESTS, load.outcomes
        assert proxy.open == 0

        await victim.rise()
        await all_have_been_asked(three, Load(), protocol, address)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
async def test_a_dead_one_is_ejected_within_five_failures(three: list[Frail], plane: Plane, protocol: str) -> None:
    # It accepts connections and breaks each of them, and the checks are too rare to help: only failed calls tell.
    async with plane(three, "balance={check_seconds: 3600, eject_after_failures: 5, eject_seconds: 60}") as gateway:
        load, address = Load(), gateway.addresses[protocol]
        victim = three[1]
        proxy = victim.http if protocol == "http" else victim.grpc
        run = load.http if protocol == "http" else load.grpc
        await all_have_been_asked(three, Load(), protocol, address)
        victim.suffer(Fault(reset_after_request=1))
        async with asyncio.timeout(30):
            await run(address, 600, 1)
        failed = load.outcomes.total() - load.outcomes["200"] - load.outcomes["OK"]
        assert failed <= 5, load.outcomes
        accepted = proxy.accepted
        await run(address, 200, 1)
        assert proxy.accepted == accepted, "an ejected Triton gets nothing"


@pytest.mark.parametrize(("protocol", "told"), [("http", "503"), ("grpc", "UNAVAILABLE")])
async def test_a_total_outage_makes_no_storm_and_ends_when_one_is_back(
    three: list[Frail], plane: Plane, protocol: str, told: str
) -> None:
    balance = "balance={check_seconds: 0.2, eject_seconds: 0.2, retry_sent_inference: true}"
    async with plane(three, balance) as gateway:
        address = gateway.addresses[protocol]
        await all_have_been_asked(three, Load(), protocol, address)
        # They take each request and execute it, and the answer is lost: what an overloaded Triton would feel.
        for each in three:
            each.suffer(Fault(reset_on=BODY if protocol == "http" else message()))
        before, load = sum(each.triton.asked[protocol] for each in three), Load()
        async with asyncio.timeout(30):
            await (load.http if protocol == "http" else load.grpc)(address, 1000, CLIENTS)
        attempts = sum(each.triton.asked[protocol] for each in three) - before
        assert load.outcomes == {told: 1000}
        assert attempts <= 1000 + 0.2 * (1000 + before), "retries are a share of all requests of the last seconds"

        three[2].suffer(Fault())
        recovered = Load()
        async with asyncio.timeout(10):
            while not recovered.outcomes["200"] + recovered.outcomes["OK"]:
                await (recovered.http if protocol == "http" else recovered.grpc)(address, 10, 2)


async def test_a_refusing_outage_is_told_at_once_with_when_to_try_again(three: list[Frail], plane: Plane) -> None:
    async with plane(three, "limits.deadline_seconds=30") as gateway:
        for each in three:
            await each.die()
        began = time.monotonic()
        reply = await once(gateway.addresses["http"], infer())
        assert reply.status == 503
        assert b"retry-after: " in reply.head.lower()
        async with GrpcClient(gateway.addresses["grpc"]) as client:
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await client.infer(message())
        assert error.value.code() is grpc.StatusCode.UNAVAILABLE
        trailing = error.value.trailing_metadata()
        assert trailing is not None
        assert "retry-after" in dict(trailing)
        assert time.monotonic() - began < 5, "far from the deadline: nobody waited for it"
        for each in three:
            await each.rise()
        load = Load()
        async with asyncio.timeout(10):
            while not load.outcomes["200"]:
                await load.http(gateway.addresses["http"], 10, 2)
