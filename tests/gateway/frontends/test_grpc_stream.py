import asyncio

from gateway.wire.http2 import frames
from gateway.wire.http2.stream import WINDOW
from tests.gateway.frontends.http_rig import BOTH_LOOPS
from tests.gateway.grpc_peers import STREAMING, Served, echo_server, message, raw_client, request_block

LOOPS = BOTH_LOOPS


async def until_held(served: Served, size: int) -> None:
    async with asyncio.timeout(5):
        while served.intake.bytes_held != size:
            await asyncio.sleep(0.001)


async def test_a_stream_that_is_cancelled_before_it_ran_leaves_nothing() -> None:
    async with echo_server() as served, raw_client(served.port) as peer:
        # In one segment, so that the task has had no turn when it is cancelled.
        peer.request(1, b"x" * 1000)
        peer.say(frames.RST_STREAM, 0, 1, b"\0\0\0\x08")
        peer.request(3)
        assert (await peer.reply())[1] == message(b"hello")
        await until_held(served, 0)
        assert not served.listener.tasks


async def test_a_message_that_is_cut_off_by_its_client_is_given_back() -> None:
    async with echo_server() as served, raw_client(served.port) as peer:
        peer.say(frames.HEADERS, frames.END_HEADERS, 1, request_block())
        peer.say(frames.DATA, 0, 1, message(b"x" * 300_000)[:10_000])
        await until_held(served, 2**18)
        peer.say(frames.RST_STREAM, 0, 1, b"\0\0\0\x08")
        await until_held(served, 0)


async def test_what_the_front_end_has_not_taken_is_bounded_and_credited_when_it_does() -> None:
    async with echo_server() as served, raw_client(served.port) as peer:
        served.frontend.gate.clear()
        peer.say(frames.WINDOW_UPDATE, 0, 0, (2**30).to_bytes(4, "big"))
        peer.say(frames.HEADERS, frames.END_HEADERS, 1, request_block(STREAMING))
        peer.say(frames.WINDOW_UPDATE, 0, 1, (2**30).to_bytes(4, "big"))
        count = WINDOW // 16_005
        for _ in range(count):
            peer.say(frames.DATA, 0, 1, message(b"x" * 16_000))
        peer.say(frames.PING, 0, 0, b"12345678")
        while (frame := await peer.hear())[0] != frames.PING:
            assert frame[0] != frames.WINDOW_UPDATE or frame[2] == 0
        await until_held(served, count * 16_000)
        served.frontend.gate.set()
        assert (await peer.until(frames.WINDOW_UPDATE))[2] == 1
        peer.say(frames.DATA, frames.END_STREAM, 1)
        _, data = await peer.reply()
        assert len(data) <= count * 16_005
        await until_held(served, 0)


async def test_replies_wait_while_the_client_does_not_read_them() -> None:
    async with echo_server() as served, raw_client(served.port, greet=False) as peer:
        peer.writer.write(frames.PREFACE + frames.settings({frames.INITIAL_WINDOW_SIZE: 100}))
        peer.say(frames.HEADERS, frames.END_HEADERS, 1, request_block(STREAMING))
        for _ in range(3):
            peer.say(frames.DATA, 0, 1, message(b"x" * 1000))
        peer.say(frames.DATA, frames.END_STREAM, 1)
        assert len((await peer.until(frames.DATA))[3]) == 100
        await until_held(served, 3000)  # the first is not done with before it is sent
        peer.say(frames.WINDOW_UPDATE, 0, 1, b"\0\0\x10\0")
        headers, data = await peer.reply()
        assert (headers[b"count"], len(data)) == (b"3", 3 * 1005 - 100)


async def test_a_client_that_leaves_while_a_reply_waits_ends_the_call() -> None:
    async with echo_server() as served:
        async with raw_client(served.port, greet=False) as peer:
            peer.writer.write(frames.PREFACE + frames.settings({frames.INITIAL_WINDOW_SIZE: 0}))
            peer.say(frames.HEADERS, frames.END_HEADERS, 1, request_block(STREAMING))
            peer.say(frames.DATA, 0, 1, message(b"x" * 1000))
            await peer.until(frames.HEADERS)
        await until_held(served, 0)
        assert served.frontend.cancelled == 1
