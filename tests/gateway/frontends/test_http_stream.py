import asyncio

from gateway.core.call import Call, ClientStream, Operation, Reply
from gateway.core.errors import ClientGone, Overloaded, UpstreamBroken
from tests.gateway.frontends.http_rig import BOTH_LOOPS, READY, Scripted, connected, post, serving, until

LOOPS = BOTH_LOOPS

STREAM = b"/v2/models/echo/generate_stream"
EVENTS = ((b"content-type", b"text/event-stream"),)


async def test_events_arrive_one_by_one_as_they_are_sent() -> None:
    steps = asyncio.Queue[bytes]()

    async def stream(call: Call, client: ClientStream) -> Reply:
        assert await client.receive() is None
        await client.start(EVENTS)
        await client.send(b"")
        while event := await steps.get():
            await client.send(event)
        return Reply(200)

    upstream = Scripted(stream=stream)
    async with serving(upstream) as rig, connected(rig) as client:
        for _ in range(2):
            client.send(post(STREAM, b"{}"))
            status, headers = await client.head()
            assert (status, headers[b"content-type"]) == (200, b"text/event-stream")
            assert len(headers[b"x-request-id"]) == 16
            chunks = client.chunks()
            for event in (b"data: 1\n\n", b"data: %s\n\n" % (b"x" * 50_000), b"data: 3\n\n"):
                steps.put_nowait(event)
                assert await anext(chunks) == event
            steps.put_nowait(b"")
            assert [chunk async for chunk in chunks] == []
        client.send(READY)
        assert (await client.answer()).status == 200
    assert upstream.calls[0].operation is Operation.GENERATE_STREAM


async def test_over_http_1_0_the_stream_ends_with_the_connection() -> None:
    async def stream(call: Call, client: ClientStream) -> Reply:
        await client.start(EVENTS)
        await client.send(b"data: 1\n\n")
        return Reply(200)

    async with serving(Scripted(stream=stream)) as rig, connected(rig) as client:
        client.send(b"POST %b HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}" % STREAM)
        status, headers = await client.head()
        assert (status, headers[b"connection"], b"transfer-encoding" in headers) == (200, b"close", False)
        assert await client.reader.read() == b"data: 1\n\n"


async def test_a_stream_that_never_began_is_an_ordinary_reply() -> None:
    async def refuse(call: Call, client: ClientStream) -> Reply:
        return Reply(404, (), b'{"error":"unknown model"}')

    async def overload(call: Call, client: ClientStream) -> Reply:
        raise Overloaded("no room")

    for stream, status in ((refuse, 404), (overload, 429)):
        async with serving(Scripted(stream=stream)) as rig, connected(rig) as client:
            client.send(post(STREAM, b"{}"), READY)
            assert (await client.answer()).status == status
            assert (await client.answer()).status == 200


async def test_a_stream_that_breaks_says_so_in_an_event_and_ends() -> None:
    async def stream(call: Call, client: ClientStream) -> Reply:
        await client.start(EVENTS)
        await client.send(b"data: 1\n\n")
        raise UpstreamBroken("it broke")

    async with serving(Scripted(stream=stream)) as rig, connected(rig) as client:
        client.send(post(STREAM, b"{}"))
        answer = await client.answer()
        assert answer.body == b'data: 1\n\ndata: {"error":"it broke"}\n\n'
        assert await client.is_closed()


async def test_a_slow_reader_is_waited_for() -> None:
    sent = 0

    async def stream(call: Call, client: ClientStream) -> Reply:
        nonlocal sent
        await client.start(EVENTS)
        for _ in range(400):
            await client.send(b"x" * 65_536)
            sent += 1
        return Reply(200)

    async with serving(Scripted(stream=stream)) as rig, connected(rig) as client:
        client.send(post(STREAM, b"{}"))
        await until(lambda: sent)
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.05)
        assert sent < 400
        assert len((await client.answer()).body) == 400 * 65_536


async def test_a_reader_that_takes_longer_than_its_request_may_is_cut_off() -> None:
    gone = asyncio.Event()

    async def stream(call: Call, client: ClientStream) -> Reply:
        try:
            await client.start(EVENTS)
            while True:
                await client.send(b"x" * 65_536)
        except ClientGone:
            raise AssertionError("it was cancelled first") from None
        finally:
            gone.set()

    async with serving(Scripted(stream=stream)) as rig, connected(rig) as client:
        client.send(post(STREAM, b"{}", b"X-Request-Timeout-Ms: 100"))
        async with asyncio.timeout(5):
            await gone.wait()


async def test_a_client_that_goes_away_cancels_its_stream() -> None:
    upstream_ended = asyncio.Event()

    async def stream(call: Call, client: ClientStream) -> Reply:
        try:
            await client.start(EVENTS)
            await client.send(b"data: 1\n\n")
            await asyncio.Event().wait()
        finally:
            upstream_ended.set()
        raise AssertionError

    async with serving(Scripted(stream=stream)) as rig, connected(rig) as client:
        client.send(post(STREAM, b"{}"))
        await client.head()
        client.writer.close()
        async with asyncio.timeout(5):
            await upstream_ended.wait()
