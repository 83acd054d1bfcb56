import asyncio

import pytest

from gateway.core.call import Operation, Protocol, Reply, Sequence
from gateway.core.errors import UnknownRoute
from gateway.upstreams.fake_wire import Relay, grpc_call, head_of, read_request
from tests.gateway.upstreams.conftest import Listen


def fed(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


async def test_a_request_becomes_a_call() -> None:
    body = b'{"parameters":{"sequence_id":7,"sequence_start":true},"inputs":[]}'
    head = b"POST /v2/models/m/versions/1/infer?x=1 HTTP/1.1\r\nX-A: b\r\nContent-Length: %d\r\n\r\n" % len(body)
    call = await read_request(fed(head + body))
    assert (call.operation, call.model, call.version) == (Operation.INFER, "m", "1")
    assert call.line == b"POST /v2/models/m/versions/1/infer"
    assert (call.body, call.head_len) == (body, len(body))
    assert call.sequence == Sequence("7", start=True)
    assert (b"x-a", b"b") in call.metadata


async def test_what_is_no_request_is_refused() -> None:
    with pytest.raises(UnknownRoute):
        await read_request(fed(b"GET /nothing HTTP/1.1\r\n\r\n"))
    with pytest.raises(EOFError):
        await read_request(fed(b"GET /v2 HT"))


def test_a_message_becomes_a_call() -> None:
    call = grpc_call("/inference.GRPCInferenceService/ModelInfer", b"\x0a\x01m", (("a", "b"), ("c-bin", b"\xff")), 1.0)
    assert (call.protocol, call.operation, call.model) == (Protocol.GRPC, Operation.INFER, "m")
    assert call.metadata == ((b"a", b"b"), (b"c-bin", b"\xff"))
    assert call.deadline.remaining() <= 1


def test_a_head_says_how_long_the_body_is() -> None:
    assert head_of(Reply(404, ((b"a", b"b"),)), 3) == b"HTTP/1.1 404 Not Found\r\na: b\r\ncontent-length: 3\r\n\r\n"
    assert b"transfer-encoding: chunked" in head_of(Reply(200))


async def test_a_relay_passes_on_and_resets(listen: Listen) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)

    relay = Relay(int((await listen(echo)).rpartition(":")[2]))
    front = await listen(relay.link)
    reader, writer = await asyncio.open_connection(*front.split(":"))
    writer.write(b"abc")
    assert await reader.readexactly(3) == b"abc"
    relay.reset()
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    await relay.aclose()
