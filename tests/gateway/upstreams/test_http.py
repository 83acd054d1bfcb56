import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.config import LimitsSection
from gateway.core.errors import DeadlineExceeded, UpstreamBroken, UpstreamUnavailable
from gateway.upstreams.http import HttpUpstream
from tests.gateway.conftest import MakeCall
from tests.gateway.upstreams.conftest import Listen

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: a/b\r\nServer: x\r\n\r\nok"
Serve = Callable[..., Awaitable["Peer"]]


class Peer:
    """A Triton of the test's own: each connection runs `script`."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self.address = ""

    async def read_request(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
        self.requests.append(head + await reader.readexactly(length))
        return self.requests[-1]


@pytest.fixture
def serve(listen: Listen) -> Serve:
    async def start(*answers: bytes | None) -> Peer:
        """Answer request by request on each connection; None closes it, b"" says nothing."""
        peer = Peer()

        async def answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            peer.connections += 1
            for answer in answers * 10:
                await peer.read_request(reader)
                if answer is None:
                    break
                writer.write(answer)

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


async def test_a_connection_that_triton_closes_is_not_used_again(serve: Serve, make_call: MakeCall) -> None:
    peer = await serve(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
    upstream = HttpUpstream(peer.address, LimitsSection())
    for _ in range(3):
        assert (await upstream.infer(make_call())).body == b"ok"
    assert peer.connections == 3
    await upstream.aclose()


async def test_a_connection_that_dies_idle_is_replaced(serve: Serve, make_call: MakeCall) -> None:
    peer = await serve(OK)
    upstream = HttpUpstream(peer.address, LimitsSection())
    await upstream.infer(make_call())
    for connection in tuple(upstream._open):
        connection.close()
    while upstream._open:
        await asyncio.sleep(0)
    assert (await upstream.infer(make_call())).body == b"ok"
    assert peer.connections == 2
    await upstream.aclose()


@pytest.mark.parametrize("answer", [None, b"this is not HTTP\r\n\r\n"])
async def test_no_answer_is_an_error(serve: Serve, make_call: MakeCall, answer: bytes | None) -> None:
    peer = await serve(answer)
    upstream = HttpUpstream(peer.address, LimitsSection())
    with pytest.raises(UpstreamBroken):
        await upstream.infer(make_call())
    await upstream.aclose()


async def test_half_an_answer_is_an_error(listen: Listen, make_call: MakeCall) -> None:
    async def answer_half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf")

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
    assert (await upstream.infer(make_call())).body == b"abcde"
    await upstream.aclose()


async def test_nobody_there_is_unavailable(make_call: MakeCall) -> None:
    upstream = HttpUpstream("127.0.0.1:1", LimitsSection())
    with pytest.raises(UpstreamUnavailable) as caught:
        await upstream.infer(make_call())
    assert "127.0.0.1" not in caught.value.message


async def test_no_more_connections_than_configured(serve: Serve, make_call: MakeCall) -> None:
    peer = await serve(OK)
    upstream = HttpUpstream(peer.address, LimitsSection(max_connections=2))
    replies = await asyncio.gather(*(upstream.infer(make_call()) for _ in range(8)))
    assert [reply.body for reply in replies] == [b"ok"] * 8
    assert peer.connections <= 2
    await upstream.aclose()


async def test_waiting_for_a_connection_counts_as_the_calls_time(serve: Serve, make_call: MakeCall) -> None:
    peer = await serve(b"")
    upstream = HttpUpstream(peer.address, LimitsSection(max_connections=1))
    first = asyncio.create_task(upstream.infer(make_call()))
    with pytest.raises(DeadlineExceeded):
        await upstream.infer(make_call(seconds=0.05))
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await upstream.aclose()
