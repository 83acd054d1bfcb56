import asyncio

import pytest

from gateway.core.errors import DeadlineExceeded, RequestTooLarge
from gateway.policies.rule_streams import Headed, Sized, Timed, too_large
from gateway.upstreams.fake import FakeClient
from tests.gateway.frontends.grpc_doubles import ScriptedClient, request, response, until, within

SOON, NEVER = 0.01, 3600.0


async def test_the_beginning_has_other_headers() -> None:
    client = FakeClient(b"a")
    headed = Headed(client, ((b"x-by", b"us"),), frozenset({b"x-by", b"server"}))
    await headed.start(((b"server", b"s"), (b"content-type", b"c"), (b"x-by", b"them")))
    await headed.send(b"b")
    assert (client.metadata, client.received) == (((b"content-type", b"c"), (b"x-by", b"us")), [b"b"])
    assert (await headed.receive(), await headed.receive()) == (b"a", None)


async def test_what_is_too_large_is_answered_and_not_passed_on() -> None:
    small, large = request("m", "1"), request("m", "2" * 50)
    client = ScriptedClient(large, small)
    client.half_close()
    sized = Sized(client, len(small), ends_on_error=False)
    await sized.start(())
    assert (await sized.receive(), await sized.receive()) == (small, None)
    assert client.errors() == [("2" * 50, too_large(len(large), len(small)).message)]


async def test_what_is_too_large_can_end_the_stream() -> None:
    with pytest.raises(RequestTooLarge, match="request of 3 bytes exceeds this route's maximum of 2 bytes"):
        await Sized(FakeClient(b"abc"), 2, ends_on_error=True).receive()


async def test_a_stream_may_live_longer_than_its_requests() -> None:
    client = ScriptedClient()
    await client.start(())
    timed = Timed(client, SOON)
    waiting = asyncio.create_task(timed.receive())
    await asyncio.sleep(2 * SOON)  # nothing has been asked: there is nothing to wait for
    for number in ("1", "2"):
        client.say(asked := request("m", number))
        assert await within(waiting) == asked
        await timed.send(response(asked, final=False))
        waiting = asyncio.create_task(timed.receive())
        await asyncio.sleep(2 * SOON)
        assert not waiting.done()
        await timed.send(response(asked))  # it has been answered: this is the rest
    client.half_close()
    assert await within(waiting) is None


@pytest.mark.parametrize("said_all", [False, True])
async def test_a_request_without_an_answer_is_given_up(said_all: bool) -> None:
    client = ScriptedClient(first := request("m", "1"), request("m", "2"))
    await client.start(())
    if said_all:
        client.half_close()
    timed = Timed(client, SOON)
    await timed.receive()
    await timed.receive()
    await timed.send(response(first))
    with pytest.raises(DeadlineExceeded, match=r"within its route's policies\.timeout_seconds"):
        await within(timed.receive())


async def test_that_the_client_has_said_all_is_passed_on_with_the_last_answer() -> None:
    client = ScriptedClient(asked := request("m", "1"))
    client.half_close()
    await client.start(())
    timed = Timed(client, NEVER)
    assert await timed.receive() == asked
    waiting = asyncio.create_task(timed.receive())
    await until(lambda: client.taken == 2)
    assert not waiting.done()
    await timed.send(response(asked))
    assert await within(waiting) is None


async def test_time_in_which_the_client_does_not_read_is_not_counted() -> None:
    client = ScriptedClient(first := request("m", "1"), second := request("m", "2"))
    client.half_close()
    await client.start(())
    timed = Timed(client, 5 * SOON)
    assert (await timed.receive(), await timed.receive()) == (first, second)
    waiting = asyncio.create_task(timed.receive())
    client.reads.clear()
    sending = asyncio.create_task(timed.send(response(first)))
    await asyncio.sleep(10 * SOON)
    client.reads.set()
    await within(sending)
    assert not waiting.done()
    await timed.send(response(second))
    assert await within(waiting) is None
