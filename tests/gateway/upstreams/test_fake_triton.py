import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import grpc
import httpx
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from gateway.upstreams.fake import FakeUpstream
from gateway.upstreams.fake_faults import Fail, Fault, HalfClose, Reset, Slow, Truncate, WrongLength
from gateway.upstreams.fake_triton import FakeTriton

INFER = b"POST /v2/models/echo/infer HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
async def triton() -> AsyncIterator[FakeTriton]:
    async with FakeTriton(FakeUpstream(responses=2)) as running:
        yield running


async def said(triton: FakeTriton, request: bytes) -> bytes:
    """What comes of one request until the connection ends; `reset` if it is reset."""
    reader, writer = await asyncio.open_connection(*triton.http.split(":"))
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionResetError:
        return b"reset"
    finally:
        writer.close()


def unary(channel: grpc.aio.Channel, method: str) -> grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]:
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
    call = channel.unary_unary(f"/inference.GRPCInferenceService/{method}")
    return call


async def test_http_is_served_and_connections_are_kept(triton: FakeTriton) -> None:
    async with httpx.AsyncClient(base_url=f"http://{triton.http}") as client:
        assert (await client.get("/v2/health/ready")).status_code == 200
        assert (await client.post("/v2/models/echo/infer", json={"inputs": []})).json() == {"inputs": []}
        assert (await client.post("/v2/repository/index", json={})).json()[0]["state"] == "READY"
        assert (await client.get("/v2/models/nope")).status_code == 404
        assert (await client.get("/nothing")).status_code == 404
        stream = await client.post("/v2/models/echo/generate_stream", json={"text": "x"})
        assert stream.text == 'data: {"text":"x"}\n\n' * 2
        assert (await client.post("/v2/models/nope/generate_stream", json={})).status_code == 404
    assert triton.connections == 1


async def test_grpc_is_served(triton: FakeTriton) -> None:
    async with grpc.aio.insecure_channel(triton.grpc) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        assert (await stub.ServerReady(service_pb2.ServerReadyRequest())).ready
        index = await stub.RepositoryIndex(service_pb2.RepositoryIndexRequest())
        assert [model.name for model in index.models] == ["echo"]
        with pytest.raises(grpc.aio.AioRpcError, match="'nope' is not found") as caught:
            await stub.ModelMetadata(service_pb2.ModelMetadataRequest(name="nope"))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        raw: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(
            "/inference.GRPCInferenceService/ModelStreamInfer"
        )
        assert [message async for message in raw(iter([b"1", b"2"]))] == [b"1", b"1", b"2", b"2"]
        with pytest.raises(grpc.aio.AioRpcError, match="not found"):
            await unary(channel, "Nothing")(b"")


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (Reset(), b"reset"),
        (HalfClose(), b""),
        (Truncate(9), b"HTTP/1.1 "),
        (WrongLength(7), b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}"),
    ],
)
async def test_what_goes_wrong_can_be_seen_on_the_wire(fault: Fault, seen: bytes) -> None:
    async with FakeTriton(FakeUpstream(script=[fault])) as triton:
        assert await said(triton, INFER) == seen


async def test_a_stream_dies_in_the_middle() -> None:
    async with FakeTriton(FakeUpstream(script=[Reset(after=1)], responses=3)) as triton:
        reader, writer = await asyncio.open_connection(*triton.http.split(":"))
        writer.write(b"POST /v2/models/echo/generate_stream HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
        assert await reader.readuntil(b"data: {}\n\n\r\n")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


async def test_an_answer_can_trickle() -> None:
    async with FakeTriton(trickle=0.0) as triton:
        reader, writer = await asyncio.open_connection(*triton.http.split(":"))
        writer.write(INFER)
        assert (await reader.readuntil(b"{}")).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()


async def test_a_grpc_call_that_breaks_resets_the_connection() -> None:
    script: Iterator[Fault] = iter([Reset(), Fail(14, "busy")])
    async with FakeTriton(FakeUpstream(script=lambda _: next(script))) as triton:
        for words in ("reset|closed|removed|sock", "busy"):
            async with grpc.aio.insecure_channel(triton.grpc) as channel:
                with pytest.raises(grpc.aio.AioRpcError, match=words) as caught:
                    await unary(channel, "ModelInfer")(b"\x0a\x04echo")
                assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_slow_call_is_given_up_when_its_time_is_up() -> None:
    async with (
        FakeTriton(FakeUpstream(script=[Slow()])) as triton,
        grpc.aio.insecure_channel(triton.grpc) as channel,
    ):
        infer = unary(channel, "ModelInfer")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await infer(b"\x0a\x04echo", timeout=0.05)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_it_is_killed_and_comes_back_where_it_was(triton: FakeTriton) -> None:
    before = (triton.http, triton.grpc)
    reader, writer = await asyncio.open_connection(*triton.http.split(":"))
    writer.write(b"GET /v2/health/live HTTP/1.1\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    await triton.refuse()
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    for address in before:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address.split(":"))
    await triton.listen()
    assert (triton.http, triton.grpc) == before
    async with httpx.AsyncClient(base_url=f"http://{triton.http}") as client:
        assert json.loads((await client.get("/v2")).content)["name"] == "echo"
