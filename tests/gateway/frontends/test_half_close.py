import asyncio

from gateway.core.call import Call, Reply
from tests.gateway.frontends.http_rig import BOTH_LOOPS, INFER, READY, Scripted, connected, post, serving, until

LOOPS = BOTH_LOOPS


async def test_a_client_that_shut_its_writing_side_down_gets_its_answer() -> None:
    async def takes_a_while(call: Call) -> Reply:
        await asyncio.sleep(0.1)
        return Reply(200, body=b"here")

    async with serving(Scripted(takes_a_while)) as rig, connected(rig) as client:
        client.send(post(INFER, b"{}"))
        client.writer.write_eof()
        assert await client.head() == (100, {})  # the question whether it is still there
        answer = await client.answer()
        assert (answer.status, answer.body, answer.headers[b"connection"]) == (200, b"here", b"close")
        assert await client.is_closed()


async def test_all_that_it_pipelined_is_answered() -> None:
    async with serving(Scripted()) as rig, connected(rig) as client:
        client.send(post(INFER, b"[1]"), post(INFER, b"[2]"), READY)
        client.writer.write_eof()
        assert (await client.answer()).body == b"[1]"
        while (second := await client.answer()).status == 100:
            pass
        assert second.body == b"[2]"
        while (last := await client.answer()).status == 100:
            pass
        assert last.status == 200
        assert await client.is_closed()


async def test_a_client_of_http_1_0_is_not_asked() -> None:
    gate = asyncio.Event()

    async def held(call: Call) -> Reply:
        await gate.wait()
        return Reply(200, body=b"here")

    upstream = Scripted(held)
    async with serving(upstream) as rig, connected(rig) as client:
        client.send(b"GET /v2/models/m HTTP/1.0\r\n\r\n")
        client.writer.write_eof()
        await until(lambda: upstream.calls)
        gate.set()
        assert (await client.answer()).body == b"here"


async def test_a_client_that_closed_is_found_out() -> None:
    async def for_ever(call: Call) -> Reply:
        await asyncio.Event().wait()
        raise AssertionError

    upstream = Scripted(for_ever)
    async with serving(upstream) as rig, connected(rig) as client:
        client.send(post(INFER, b"{}"))
        await until(lambda: upstream.calls)
        client.writer.close()
        await until(lambda: upstream.ended)


async def test_half_a_request_is_not_waited_for() -> None:
    upstream = Scripted()
    async with serving(upstream) as rig, connected(rig) as client:
        client.send(b"GET /v2 HTTP/1.1\r\nHost")
        client.writer.write_eof()
        assert await client.is_closed()
    assert upstream.calls == []
