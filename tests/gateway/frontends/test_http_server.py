import asyncio

from gateway.core.call import Call, Reply
from tests.gateway.frontends.http_rig import (
    BOTH_LOOPS,
    INFER,
    READY,
    Client,
    Rig,
    Scripted,
    connected,
    post,
    serving,
    until,
)

LOOPS = BOTH_LOOPS


class Held(Scripted):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__(self._held)
        self.gate = asyncio.Event()

    async def _held(self, call: Call) -> Reply:
        await self.gate.wait()
        return Reply(200, body=call.body)


async def stopping(rig: Rig, seconds: float) -> asyncio.Task[None]:
    rig.intake.close()
    task = asyncio.create_task(rig.listener.stop(seconds))
    await until(lambda: rig.listener.draining)
    return task


async def refused(rig: Rig) -> bool:
    try:
        async with connected(rig) as client:
            return await client.is_closed()
    except ConnectionError:
        return True


async def test_what_is_under_way_finishes_and_nothing_new_begins() -> None:
    upstream = Held()
    async with serving(upstream) as rig, connected(rig) as busy, connected(rig) as idle, connected(rig) as sending:
        idle.send(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await idle.answer()).status == 200
        busy.send(post(INFER, b"{}"))
        sending.send(post(INFER, b"[]")[:-1])
        await until(lambda: rig.intake.requests == 2)

        stopped = await stopping(rig, 5)

        assert await refused(rig)
        sending.send(b"]")
        idle.send(b"GET /v2/health/ready HTTP/1.1\r\nHost: x\r\n\r\n")
        not_ready = await idle.answer()
        assert (not_ready.status, not_ready.headers[b"connection"]) == (400, b"close")
        await until(lambda: len(upstream.calls) == 2)
        upstream.gate.set()
        for client, body in ((busy, b"{}"), (sending, b"[]")):
            answer = await client.answer()
            assert (answer.status, answer.body, answer.headers[b"connection"]) == (200, body, b"close")
        await stopped


async def test_new_work_on_an_open_connection_is_refused_while_it_stops() -> None:
    upstream = Held()
    async with serving(upstream) as rig, connected(rig) as busy, connected(rig) as other:
        other.send(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await other.answer()).status == 200
        busy.send(post(INFER, b"{}"))
        await until(lambda: upstream.calls)
        stopped = await stopping(rig, 5)
        other.send(READY)
        answer = await other.answer()
        assert (answer.status, answer.headers[b"connection"], b"retry-after" in answer.headers) == (503, b"close", True)
        upstream.gate.set()
        assert (await busy.answer()).status == 200
        await stopped


async def test_what_takes_too_long_is_given_up() -> None:
    upstream = Held()
    async with serving(upstream) as rig, connected(rig) as client:
        client.send(post(INFER, b"{}"))
        await until(lambda: upstream.calls)
        await (await stopping(rig, 0.05))
        assert upstream.ended == 1
        assert rig.intake.requests == 0
        assert await client.is_closed()


async def test_idle_connections_do_not_keep_it_from_stopping() -> None:
    async with serving(Scripted()) as rig, connected(rig) as client:
        client.send(READY)
        assert (await client.answer()).status == 200
        async with asyncio.timeout(1):
            await (await stopping(rig, 30))
        assert await client.is_closed()


async def test_a_request_that_crosses_the_news_of_the_end_is_served() -> None:
    async with serving(Scripted()) as rig, connected(rig) as client:
        client.send(READY)
        assert (await client.answer()).headers.get(b"connection") != b"close"
        stopped = asyncio.create_task(rig.listener.stop(5))
        await until(lambda: rig.listener.draining)
        client.send(READY)
        answer = await client.answer()
        assert (answer.status, answer.headers[b"connection"]) == (200, b"close")
        await stopped


async def test_a_large_reply_reaches_its_client_before_the_end() -> None:
    async def big(call: Call) -> Reply:
        return Reply(200, body=b"x" * (8 * 2**20))

    upstream = Scripted(big)
    async with serving(upstream) as rig, connected(rig) as client:
        client.send(READY)
        await until(lambda: upstream.ended and not rig.intake.requests)
        stopped = await stopping(rig, 5)
        assert len((await client.answer()).body) == 8 * 2**20
        await stopped


async def test_connections_in_the_backlog_are_served_before_it_closes() -> None:
    async with serving(Scripted()) as rig:
        clients = [Client(*await asyncio.open_connection("127.0.0.1", rig.port)) for _ in range(20)]
        for client in clients:
            client.send(READY)
        assert [(await client.answer()).status for client in clients] == [200] * 20
        for client in clients:
            client.writer.close()
