import asyncio
import gzip
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from gateway.config import LimitsSection
from gateway.core.call import Body, Call, Metadata, Operation, Reply
from gateway.core.errors import ClientGone, DeadlineExceeded, UpstreamBroken, UpstreamUnavailable
from gateway.upstreams.http import HttpUpstream
from tests.gateway.conftest import MakeCall
from tests.gateway.upstreams.conftest import Listen

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: a/b\r\nServer: x\r\n\r\nok"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
Serve = Callable[..., Awaitable["Peer"]]


class Peer:
    """A Triton of the test's own: each connection runs `script`."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self.closed = asyncio.Event()
        self.address = ""

    async def read_request(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
        self.requests.append(head + await reader.readexactly(length))
        return self.requests[-1]


class Client:
    """The client's end of a stream: keeps what it gets."""

    def __init__(self, gone_after: int = 1000) -> None:
        self.metadata: Metadata | None = None
        self.pieces: list[bytes] = []
        self.got = asyncio.Event()
        self.reads = asyncio.Event()
        self.reads.set()
        self._gone_after = gone_after

    async def receive(self) -> Body | None:
        return None

    async def start(self, metadata: Metadata) -> None:
        assert self.metadata is None
        self.metadata = metadata

    async def send(self, message: Body) -> None:
        if len(self.pieces) == self._gone_after:
            raise ClientGone("gone")
        assert message
        self.pieces.append(bytes(message))
        self.got.set()
        await self.reads.wait()


@pytest.fixture
def serve(listen: Listen) -> Serve:
    async def start(*answers: bytes | None, hold: bool = False) -> Peer:
        """Answer request by request on each connection; None closes it, b"" says nothing."""
        peer = Peer()

        async def answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            peer.connections += 1
            try:
                for answer in answers * 10:
                    await peer.read_request(reader)
                    if answer is None:
                        break
                    writer.write(answer)
                    if hold:
                        await reader.read()
            finally:
                peer.closed.set()

        peer.address = await listen(answer_all)
        return peer

    return start


async def test_a_connection_is_used_again(serve: Serve, make_call: MakeCall) -> None:
    peer = await serve(OK)
    upstream = HttpUpstream(peer.address, LimitsSection())
    for _ in range(3):
        reply = await upstream.infer(make_call(model="m", body=b"12", metadata=((b"content-type", b"c/d"),)))
        assert (reply.status, reply.body, reply.metadata) == (200, b"ok", ((b"content-type", b"a/b"),))
    assert peer.connections == 1
    assert peer.requests[0] == (
        b"POST /v2/models/m/infer HTTP/1.1\r\nhost: %s\r\ncontent-type: c/d\r\ncontent-length: 2\r\n\r\n12"
        % peer.address.encode()
    )
    await upstream.aclose()


async def test_calls_that_differ_are_told_apart(serve: Serve, make_call: MakeCall) -> None:
    peer = await serve(OK)
    upstream = HttpUpstream(peer.address, LimitsSection())
    for model, version, tag in (("m", "", b"1"), ("m", "2", b"1"), ("n", "", b"1"), ("m", "", b"2")):
        await upstream.infer(make_call(model=model, version=version, metadata=((b"traceparent", tag),)))
    lines = [(r.split(b" ")[1], r.split(b"traceparent: ")[1][:1]) for r in peer.requests]
    assert lines == [
        (b"/v2/models/m/infer", b"1"),
        (b"/v2/models/m/versions/2/infer", b"1"),
        (b"/v2/models/n/infer", b"1"),
        (b"/v2/models/m/infer", b"2"),
    ]
    await upstream.aclose()


async def test_what_the_operator_adds_goes_on_and_stays_with_its_call(serve: Serve, make_call: MakeCall) -> None:
    peer = await serve(OK)
    upstream = HttpUpstream(peer.address, LimitsSection())
    call = make_call(metadata=((b"traceparent", b"1"), (b"x-other", b"client")))
    added = replace(call, added=((b"x-tenant", b"a"), (b"traceparent", b"2")))
    for one in (call, added, call):
        await upstream.infer(one)
    seen = [request.split(b"\r\n")[2:-3] for request in peer.requests]
    assert seen == [[b"traceparent: 1"], [b"x-tenant: a", b"traceparent: 2"], [b"traceparent: 1"]]
    await upstream.aclose()


async def test_heads_beyond_what_is_remembered_are_made_anew(serve: Serve, make_call: MakeCall) -> None:
    peer = await serve(*[OK] * 200)
    upstream = HttpUpstream(peer.address, LimitsSection())
    for number in range(1100):
        await upstream.infer(make_call(metadata=((b"traceparent", b"%d" % number),)))
    await upstream.infer(make_call(metadata=((b"traceparent", b"x" * 5000),)))
    assert b"traceparent: 1099\r\n" in peer.requests[1099]
    assert b"traceparent: " + b"x" * 5000 in peer.requests[1100]
    await upstream.aclose()


@pytest.mark.parametrize("size", [0, 20_000, 3_000_000])
async def test_bodies_of_any_size_go_there_and_back(listen: Listen, make_call: MakeCall, size: int) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = (await Peer().read_request(reader)).partition(b"\r\n\r\n")[2]
        writer.writelines([b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body])

    upstream = HttpUpstream(await listen(echo), LimitsSection())
    body = bytearray(bytes(range(256)) * (size // 256))
    assert (await upstream.infer(make_call(body=body))).body == body
    await upstream.aclose()


async def test_a_connection_that_triton_closes_is_not_used_again(serve: Serve, make_call: MakeCall) -> None:
    peer = await serve(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
    upstream = HttpUpstream(peer.address, LimitsSection())
    for _ in range(3):
        assert (await upstream.infer(make_call())).body == b"ok"
    assert peer.connections == 3
    await upstream.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"this is not HTTP\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70_000,
    ],
)
async def test_no_answer_is_an_error(serve: Serve, make_call: MakeCall, answer: bytes | None) -> None:
    peer = await serve(answer)
    upstream = HttpUpstream(peer.address, LimitsSection())
    with pytest.raises(UpstreamBroken):
        await upstream.infer(make_call())
    await upstream.aclose()


@pytest.mark.parametrize(
    "half",
    [
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf",
    ],
)
async def test_half_an_answer_is_an_error(listen: Listen, make_call: MakeCall, half: bytes) -> None:
    async def answer_half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(half)

    upstream = HttpUpstream(await listen(answer_half), LimitsSection())
    with pytest.raises(UpstreamBroken, match="may have been executed"):
        await upstream.infer(make_call())
    await upstream.aclose()


async def test_chunked_answers_and_interim_answers_are_understood(serve: Serve, make_call: MakeCall) -> None:
    peer = await serve(
        b"HTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    upstream = HttpUpstream(peer.address, LimitsSection())
    for _ in range(2):
        assert (await upstream.infer(make_call())).body == b"abcde"
    assert peer.connections == 1
    await upstream.aclose()


async def test_an_error_tells_nothing_of_the_inside(serve: Serve, make_call: MakeCall) -> None:
    words = b'{"error":"failed to load /srv/models/m/1/model.onnx"}'
    packed = gzip.compress(words)
    peer = await serve(
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%b" % (len(words), words),
        b"HTTP/1.1 500 X\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(packed), packed),
        b"HTTP/1.1 500 X\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nxyz",
    )
    upstream = HttpUpstream(peer.address, LimitsSection())
    plain, unpacked, broken = [await upstream.infer(make_call()) for _ in range(3)]
    assert (plain.status, plain.body) == (400, b'{"error":"failed to load .../model.onnx"}')
    assert (unpacked.status, unpacked.body, unpacked.metadata) == (500, plain.body, ())
    assert (broken.status, broken.body) == (500, b"")
    await upstream.aclose()


async def test_nobody_there_is_unavailable(make_call: MakeCall) -> None:
    upstream = HttpUpstream("127.0.0.1:1", LimitsSection())
    with pytest.raises(UpstreamUnavailable) as caught:
        await upstream.infer(make_call())
    assert "127.0.0.1" not in caught.value.message
    await upstream.aclose()


async def test_a_deadline_that_passes_gives_the_request_up(serve: Serve, make_call: MakeCall) -> None:
    peer = await serve(b"")
    upstream = HttpUpstream(peer.address, LimitsSection())
    with pytest.raises(DeadlineExceeded):
        await upstream.infer(make_call(seconds=0.05))
    await asyncio.wait_for(peer.closed.wait(), 5)
    await upstream.aclose()


async def test_cancelling_gives_the_request_up(serve: Serve, make_call: MakeCall) -> None:
    peer = await serve(b"")
    upstream = HttpUpstream(peer.address, LimitsSection())
    task = asyncio.create_task(upstream.infer(make_call()))
    while not peer.requests:
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.wait_for(peer.closed.wait(), 5)
    await asyncio.gather(task, return_exceptions=True)
    await upstream.aclose()


def stream_call(make_call: MakeCall, seconds: float = 10) -> Call:
    return make_call(operation=Operation.GENERATE_STREAM, body=b"{}", seconds=seconds)


async def test_a_stream_is_passed_on_as_it_comes(listen: Listen, make_call: MakeCall) -> None:
    client = Client()

    async def events(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await Peer().read_request(reader)
            writer.write(EVENTS)
            for number in range(3):
                writer.write(b"9\r\ndata: %d\n\n\r\n" % number)
                await client.got.wait()  # the next one is not sent before this one has arrived
                client.got.clear()
            writer.write(b"0\r\n\r\n")

    upstream = HttpUpstream(await listen(events), LimitsSection(max_connections=1))
    for _ in range(2):
        ended = await upstream.stream(stream_call(make_call), client)
        assert ended == Reply(200, ((b"content-type", b"text/event-stream"),))
        assert client.metadata == ((b"content-type", b"text/event-stream"),)
        assert client.pieces == [b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n"]
        client.metadata = None
        client.pieces.clear()
    await upstream.aclose()


async def test_a_stream_that_is_refused_is_a_reply(serve: Serve, make_call: MakeCall) -> None:
    peer = await serve(b"HTTP/1.1 404 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n")
    upstream, client = HttpUpstream(peer.address, LimitsSection()), Client()
    assert await upstream.stream(stream_call(make_call), client) == Reply(404, (), b"no")
    assert client.metadata is None
    await upstream.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ],
)
async def test_a_stream_may_end_in_any_way_that_http_has(listen: Listen, make_call: MakeCall, answer: bytes) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Peer().read_request(reader)
        writer.write(answer)

    upstream, client = HttpUpstream(await listen(once), LimitsSection()), Client()
    assert (await upstream.stream(stream_call(make_call), client)).status == 200
    assert b"".join(client.pieces) == b"ok"
    await upstream.aclose()


async def test_a_stream_that_breaks_is_an_error_after_what_came(listen: Listen, make_call: MakeCall) -> None:
    async def breaks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Peer().read_request(reader)
        writer.write(EVENTS + b"9\r\ndata: 0\n\n\r\n")

    upstream, client = HttpUpstream(await listen(breaks), LimitsSection()), Client()
    with pytest.raises(UpstreamBroken):
        await upstream.stream(stream_call(make_call), client)
    assert client.pieces == [b"data: 0\n\n"]
    await upstream.aclose()


async def test_a_stream_ends_with_its_time_or_its_client(serve: Serve, make_call: MakeCall) -> None:
    for client, seconds, error in ((Client(), 0.1, DeadlineExceeded), (Client(gone_after=0), 10, ClientGone)):
        peer = await serve(EVENTS + b"9\r\ndata: 0\n\n\r\n", hold=True)
        upstream = HttpUpstream(peer.address, LimitsSection())
        with pytest.raises(error):
            await upstream.stream(stream_call(make_call, seconds), client)
        await asyncio.wait_for(peer.closed.wait(), 5)
        await upstream.aclose()


async def test_a_slow_client_keeps_triton_from_sending(listen: Listen, make_call: MakeCall) -> None:
    sent = 0

    async def floods(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await Peer().read_request(reader)
        writer.write(EVENTS)
        for _ in range(500):
            writer.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
            await writer.drain()
            sent += 1
        writer.write(b"0\r\n\r\n")

    client = Client()
    client.reads.clear()
    upstream = HttpUpstream(await listen(floods), LimitsSection())
    task = asyncio.create_task(upstream.stream(stream_call(make_call), client))
    await client.got.wait()
    before = -1
    while before != sent:
        before = sent
        await asyncio.sleep(0.05)
    assert sent < 500
    client.reads.set()
    assert (await task).status == 200
    assert sum(map(len, client.pieces)) == 500 * 65_536
    await upstream.aclose()
