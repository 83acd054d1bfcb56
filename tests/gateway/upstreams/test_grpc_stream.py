import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.config import LimitsSection
from gateway.core.call import Body, Call, Metadata, Protocol, Reply
from gateway.core.errors import ClientGone, DeadlineExceeded, UpstreamBroken
from gateway.upstreams.fake import FakeClient
from gateway.upstreams.grpc import GrpcUpstream
from gateway.wire.http2 import frames, grpc_fields
from gateway.wire.http2.stream import WINDOW
from tests.gateway.conftest import MakeCall
from tests.gateway.grpc_peers import RawPeer, message, raw_server

ALL_END = frames.END_HEADERS | frames.END_STREAM


@pytest.fixture
def call(make_call: MakeCall) -> Call:
    return make_call(protocol=Protocol.GRPC, seconds=5)


class Client:
    """Says nothing until it is told to leave, and writes down what it hears."""

    def __init__(self, gate: asyncio.Event | None = None) -> None:
        self.gate = gate
        self.metadata: Metadata | None = None
        self.sent: list[Body] = []

    async def receive(self) -> Body | None:
        await asyncio.Event().wait()
        return None

    async def start(self, metadata: Metadata) -> None:
        self.metadata = metadata

    async def send(self, message: Body) -> None:
        self.sent.append(message)
        if self.gate is not None:
            await self.gate.wait()


async def run(talk: Callable[[RawPeer], Awaitable[None]], call: Call, client: Client | FakeClient) -> Reply:
    async with raw_server(talk) as address:
        upstream = GrpcUpstream(address, LimitsSection())
        try:
            return await upstream.stream(call, client)
        finally:
            await upstream.aclose()


async def test_a_stream_that_triton_refuses_was_never_on(call: Call) -> None:
    async def refuse(peer: RawPeer) -> None:
        peer.say(frames.SETTINGS)
        await peer.until(frames.HEADERS)
        block = grpc_fields.RESPONSE_HEADERS + grpc_fields.trailers(12, "no streams here", ())
        peer.say(frames.HEADERS, ALL_END, 1, block)
        assert (await peer.until(frames.RST_STREAM))[2] == 1  # we would have had more to say
        await peer.reader.read()

    client = Client()
    reply = await run(refuse, call, client)
    assert (reply.status, reply.message, client.metadata) == (12, "no streams here", None)


async def test_messages_that_came_before_the_end_are_all_delivered(call: Call) -> None:
    async def hurry(peer: RawPeer) -> None:
        peer.say(frames.SETTINGS)
        await peer.until(frames.HEADERS)
        peer.say(frames.HEADERS, frames.END_HEADERS, 1, grpc_fields.RESPONSE_HEADERS)
        peer.say(frames.DATA, 0, 1, message(b"a") + message(b"") + message(b"c"))
        peer.say(frames.HEADERS, ALL_END, 1, grpc_fields.trailers(3, "enough", ()))
        await peer.reader.read()

    client = Client()
    reply = await run(hurry, call, client)
    assert (client.metadata, client.sent) == ((), [b"a", b"", b"c"])
    assert (reply.status, reply.message) == (3, "enough")


async def test_a_stream_that_breaks_is_broken_after_what_came(call: Call) -> None:
    async def die(peer: RawPeer) -> None:
        peer.say(frames.SETTINGS)
        await peer.until(frames.HEADERS)
        peer.say(frames.HEADERS, frames.END_HEADERS, 1, grpc_fields.RESPONSE_HEADERS)
        peer.say(frames.DATA, 0, 1, message(b"a") + message(b"bcd")[:6])

    client = Client()
    with pytest.raises(UpstreamBroken):
        await run(die, call, client)
    assert client.sent == [b"a"]


async def test_a_client_that_reads_slowly_slows_triton_down(call: Call) -> None:
    gate = asyncio.Event()
    heard: list[int] = []

    async def flood(peer: RawPeer) -> None:
        peer.say(frames.SETTINGS)
        await peer.until(frames.HEADERS)
        peer.say(frames.HEADERS, frames.END_HEADERS, 1, grpc_fields.RESPONSE_HEADERS)
        for _ in range(WINDOW // 16_005):
            peer.say(frames.DATA, 0, 1, message(b"x" * 16_000))
        peer.say(frames.PING, 0, 0, b"12345678")
        while (frame := await peer.hear())[0] != frames.PING:
            assert frame[0] != frames.WINDOW_UPDATE or not frame[2]
        gate.set()
        heard.append((await peer.until(frames.WINDOW_UPDATE))[2])
        peer.say(frames.HEADERS, ALL_END, 1, grpc_fields.trailers(0, "", ()))
        await peer.reader.read()

    client = Client(gate)
    await run(flood, call, client)
    assert heard == [1]
    assert len(client.sent) == WINDOW // 16_005


async def test_a_triton_that_reads_slowly_slows_the_client_down(call: Call) -> None:
    taken: list[int] = []
    client = FakeClient(*[b"x" * 50_000] * 10)

    async def slow(peer: RawPeer) -> None:
        peer.say(frames.SETTINGS)
        got = 0
        while got < frames.DEFAULT_WINDOW:
            got += len((await peer.until(frames.DATA))[3])
        peer.say(frames.PING, 0, 0, b"12345678")
        await peer.until(frames.PING)
        taken.append(got)
        for stream_id in (0, 1):
            peer.say(frames.WINDOW_UPDATE, 0, stream_id, b"\0\x10\0\0")
        while True:
            _, flags, _, payload = await peer.until(frames.DATA)
            got += len(payload)
            if flags & frames.END_STREAM:
                break
        taken.append(got)
        peer.answer(1, None)
        await peer.reader.read()

    assert (await run(slow, call, client)).status == 0
    assert taken == [frames.DEFAULT_WINDOW, 10 * 50_005]


async def test_a_client_that_is_gone_gives_the_stream_up(call: Call) -> None:
    resets: list[bytes] = []

    class Deaf(Client):
        async def send(self, message: Body) -> None:
            raise ClientGone("nobody reads")

    async def talk(peer: RawPeer) -> None:
        peer.say(frames.SETTINGS)
        await peer.until(frames.HEADERS)
        peer.say(frames.HEADERS, frames.END_HEADERS, 1, grpc_fields.RESPONSE_HEADERS)
        peer.say(frames.DATA, 0, 1, message(b"a"))
        resets.append((await peer.until(frames.RST_STREAM))[3])

    async with raw_server(talk) as address:
        upstream = GrpcUpstream(address, LimitsSection())
        with pytest.raises(ClientGone):
            await upstream.stream(call, Deaf())
        async with asyncio.timeout(5):
            while not resets:
                await asyncio.sleep(0.001)
        await upstream.aclose()
    assert resets == [b"\0\0\0\x08"]


async def test_a_client_that_does_not_read_runs_into_the_deadline(make_call: MakeCall) -> None:
    async def talk(peer: RawPeer) -> None:
        peer.say(frames.SETTINGS)
        await peer.until(frames.HEADERS)
        peer.say(frames.HEADERS, frames.END_HEADERS, 1, grpc_fields.RESPONSE_HEADERS)
        peer.say(frames.DATA, 0, 1, message(b"a"))
        await peer.reader.read()

    client = Client(asyncio.Event())
    with pytest.raises(DeadlineExceeded):
        await run(talk, make_call(protocol=Protocol.GRPC, seconds=0.2), client)
    assert client.sent == [b"a"]
