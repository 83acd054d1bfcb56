import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import grpc
import pytest
import tritonclient.grpc.aio as triton_grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from gateway.config import AdminSection
from gateway.core.call import Call, ClientStream, Operation, Protocol, Reply
from gateway.core.errors import Forbidden
from gateway.core.policy import Chain, Next, NextStream
from gateway.frontends.grpc import GrpcFrontend
from gateway.frontends.grpc_lanes import PATH as STREAM
from gateway.policies.restrict import Restrict
from gateway.wire import oip_grpc
from tests.gateway.frontends.grpc_doubles import (
    EchoTriton,
    GrpcGateway,
    ScriptedClient,
    calling,
    headed,
    in_shared_memory,
    request,
    until,
    within,
)

INFER = "/inference.GRPCInferenceService/ModelInfer"


class NotB:
    """A policy against model "b"."""

    async def __call__(self, call: Call, proceed: Next) -> Reply:
        self._check(call)
        return await proceed(call)

    async def stream(self, call: Call, client: ClientStream, proceed: NextStream) -> Reply:
        self._check(call)
        return await proceed(call, client)

    def _check(self, call: Call) -> None:
        if call.model == "b":
            raise Forbidden("b is not for you")


@pytest.fixture
def triton() -> EchoTriton:
    return EchoTriton()


@pytest.fixture
def gateway(triton: EchoTriton) -> GrpcGateway:
    """Not listening: its front end is called."""
    return GrpcGateway(triton, [Restrict(AdminSection()), NotB()])


@pytest.fixture
def frontend(gateway: GrpcGateway) -> GrpcFrontend:
    return gateway.frontend


@pytest.fixture
async def channel(gateway: GrpcGateway) -> AsyncIterator[grpc.aio.Channel]:
    async with gateway, grpc.aio.insecure_channel(gateway.address) as channel:
        yield channel


def path(method: str) -> str:
    return f"/inference.GRPCInferenceService/{method}"


async def unary(frontend: GrpcFrontend, method: str, message: bytes = b"", timeout: float | None = None) -> Reply:
    return await within(frontend.unary(headed(path(method), timeout=timeout), message, ""))


async def test_an_inference_goes_on_byte_for_byte(frontend: GrpcFrontend, triton: EchoTriton) -> None:
    message = bytearray(request("a", "7", sequence_id=5, sequence_start=True))
    metadata = ((b"x-request-id", b"mine"), (b"traceparent", b"00-1"))

    reply = await frontend.unary(headed(INFER, metadata), message, "10.0.0.7")

    assert (reply.status, reply.metadata) == (0, ((b"x-request-id", b"mine"),))
    assert reply.body is message
    [call] = triton.calls
    assert call.body is message
    assert (call.protocol, call.operation, call.line) == (Protocol.GRPC, Operation.INFER, INFER.encode())
    assert (call.model, call.request_id, call.metadata) == ("a", "mine", metadata)
    assert call.peer == "10.0.0.7"
    assert call.sequence is not None
    assert (call.sequence.id, call.sequence.start) == ("5", True)
    assert 4 < call.deadline.remaining() <= 5


async def test_the_clients_deadline_wins_when_it_is_shorter(frontend: GrpcFrontend, triton: EchoTriton) -> None:
    for timeout in (1.5, 1000.0):
        await unary(frontend, "ModelInfer", request("a"), timeout)
    assert 1 < triton.calls[0].deadline.remaining() <= 1.5
    assert 4 < triton.calls[1].deadline.remaining() <= 5


async def test_what_a_request_holds_is_counted_until_it_is_answered(gateway: GrpcGateway) -> None:
    async def held(call: Call) -> Reply:
        assert gateway.intake.requests == 1
        raise ZeroDivisionError

    chain = gateway.current.serving.chain._replace(infer=held)
    gateway.current.serving = replace(gateway.current.serving, chain=chain)
    await unary(gateway.frontend, "ModelInfer", request("a"))
    assert gateway.intake.requests == 0


async def test_liveness_is_the_gateways_own(gateway: GrpcGateway, triton: EchoTriton) -> None:
    assert (await unary(gateway.frontend, "ServerLive")).body == oip_grpc.LIVE
    gateway.intake.close()
    assert (await unary(gateway.frontend, "ServerLive")).body == oip_grpc.LIVE
    assert triton.calls == []


async def test_a_gateway_that_leaves_is_not_ready_and_one_that_is_closed_takes_nothing(
    gateway: GrpcGateway, triton: EchoTriton
) -> None:
    gateway.intake.leave_soon()
    ready = await unary(gateway.frontend, "ServerReady")
    assert not service_pb2.ServerReadyResponse.FromString(bytes(ready.body)).ready
    assert triton.calls == []
    assert (await unary(gateway.frontend, "ModelInfer", request("a"))).status == 0
    gateway.intake.close()
    assert (await unary(gateway.frontend, "ServerReady")).status == 0
    refused = await unary(gateway.frontend, "ModelInfer", request("a"))
    assert (refused.status, refused.metadata[0]) == (14, (b"retry-after", b"1"))
    reply = await gateway.frontend.stream(headed(STREAM), ScriptedClient(), "")
    assert reply.status == 14


@pytest.mark.parametrize("method", ["ModelInfer", "ServerLive", "RepositoryIndex"])
async def test_garbage_is_refused_in_tritons_words(frontend: GrpcFrontend, method: str) -> None:
    reply = await unary(frontend, method, b"\xff\xff\xff")
    assert (reply.status, reply.message) == (13, "Unable to parse request")


async def test_what_a_request_may_not_say_never_reaches_triton(frontend: GrpcFrontend, triton: EchoTriton) -> None:
    assert (await unary(frontend, "ModelInfer", b"\x0a\x01a\x0a\x01b")).status == 3
    assert (await unary(frontend, "ModelInfer", in_shared_memory("a", "1"))).status == 7
    assert (await unary(frontend, "SystemSharedMemoryStatus")).status == 7
    assert triton.calls == []


async def test_the_switches_in_force_are_those_of_now(gateway: GrpcGateway) -> None:
    gateway.current.serving = replace(gateway.current.serving, admin=AdminSection(shared_memory=True))
    assert (await unary(gateway.frontend, "ModelInfer", in_shared_memory("a", "1"))).status == 0


async def test_every_reply_carries_a_request_id(frontend: GrpcFrontend) -> None:
    for reply in (
        await unary(frontend, "ModelInfer", request("a")),
        await unary(frontend, "ModelInfer", request("b")),
        await unary(frontend, "ServerLive"),
        await frontend.unary(headed("/grpc.health.v1.Health/Check"), b"", ""),
    ):
        [request_id] = [value for name, value in reply.metadata if name == b"x-request-id"]
        assert len(request_id) == 16


async def test_a_bug_is_internal_and_tells_nothing(gateway: GrpcGateway, caplog: pytest.LogCaptureFixture) -> None:
    async def broken(call: Call, client: object = None) -> Reply:
        raise ZeroDivisionError("secret")

    chain = gateway.current.serving.chain._replace(infer=broken)
    gateway.current.serving = replace(gateway.current.serving, chain=chain)
    reply = await unary(gateway.frontend, "ServerMetadata")
    assert reply.status == 13
    assert "secret" not in reply.message
    assert "ZeroDivisionError" in caplog.text


def test_the_table_is_closed(frontend: GrpcFrontend) -> None:
    assert frontend.streaming(INFER) is False
    assert frontend.streaming(STREAM) is True
    assert frontend.streaming("/grpc.health.v1.Health/Check") is False
    assert frontend.streaming("/grpc.health.v1.Health/Watch") is True
    assert frontend.streaming("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo") is True
    for name in ("", "/", INFER + "/", INFER.lower(), path("Nope"), "/inference.Other/ModelInfer"):
        assert frontend.streaming(name) is None


async def test_a_stream_lives_as_long_as_its_client_says(gateway: GrpcGateway, triton: EchoTriton) -> None:
    client = ScriptedClient(request("a", "1"))
    reply = await within(gateway.frontend.stream(headed(STREAM, timeout=0.2), client, ""))
    assert reply.status == 4
    assert triton.open == 0
    assert gateway.intake.requests == 0

    client = ScriptedClient(request("a", "1"))
    client.half_close()
    assert (await within(gateway.frontend.stream(headed(STREAM), client, ""))).status == 0
    assert triton.calls[1].deadline.remaining() > 24 * 3600


async def test_a_stream_outlives_a_configuration(gateway: GrpcGateway, triton: EchoTriton) -> None:
    after, client = EchoTriton(), ScriptedClient(request("a", "1"))
    stream = asyncio.create_task(gateway.frontend.stream(headed(STREAM), client, ""))
    await client.hears(1)
    gateway.current.serving = replace(gateway.current.serving, chain=Chain(after.infer, after.stream))
    client.say(request("a", "2"))
    client.say(request("b", "3"))
    client.half_close()
    assert (await within(stream)).status == 0
    assert sorted(client.answered()) == [("a", "1"), ("a", "2"), ("b", "3")]
    assert [call.model for call in triton.calls] == ["a"]
    assert [call.model for call in after.calls] == ["a", "b"]  # what was asked afterwards


async def test_a_stream_is_held_until_its_client_is_gone(gateway: GrpcGateway, triton: EchoTriton) -> None:
    stream = asyncio.create_task(gateway.frontend.stream(headed(STREAM), ScriptedClient(request("a", "1")), ""))
    await until(lambda: triton.open == 1)
    assert gateway.intake.requests == 1
    stream.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stream
    assert (triton.open, gateway.intake.requests, gateway.intake.bytes_held) == (0, 0, 0)


async def test_stock_unary_clients(channel: grpc.aio.Channel, gateway: GrpcGateway) -> None:
    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
    assert (await stub.ServerLive(service_pb2.ServerLiveRequest())).live
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ModelInfer(service_pb2.ModelInferRequest(model_name="b"))
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.PERMISSION_DENIED, "b is not for you")
    assert dict(caught.value.trailing_metadata())["x-request-id"]
    raw: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path("Nope"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await raw(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_stock_stream_with_two_models_one_of_them_refused(channel: grpc.aio.Channel) -> None:
    call = calling(channel, STREAM)(metadata=(("x-request-id", "mine"),))
    heard = []
    for model, request_id in (("a", "1"), ("b", "2"), ("c", "3"), ("a", "4")):
        await call.write(request(model, request_id))
        answer = service_pb2.ModelStreamInferResponse.FromString(await within(call.read()))
        heard.append((answer.infer_response.model_name, answer.infer_response.id, answer.error_message))
    await call.done_writing()
    assert await within(call.read()) is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK
    assert heard == [("a", "1", ""), ("", "2", "b is not for you"), ("c", "3", ""), ("a", "4", "")]
    assert dict(await call.trailing_metadata())["x-request-id"] == "mine"


async def test_a_stock_stream_that_asks_for_grpc_errors(channel: grpc.aio.Channel, triton: EchoTriton) -> None:
    call = calling(channel, STREAM)(metadata=(("triton_grpc_error", "true"),))
    await call.write(request("a", "1"))
    await within(call.read())
    await call.write(request("b", "2"))
    assert await within(call.code()) is grpc.StatusCode.PERMISSION_DENIED
    assert await call.details() == "b is not for you"
    await until(lambda: triton.open == 0)


async def test_a_stock_stream_whose_client_goes_away(channel: grpc.aio.Channel, triton: EchoTriton) -> None:
    call = calling(channel, STREAM)()
    await call.write(request("a", "1"))
    await within(call.read())
    assert triton.open == 1
    call.cancel()
    async with asyncio.timeout(10):
        while triton.open:
            await asyncio.sleep(0.005)


async def test_tritons_own_client_streams_sequences(gateway: GrpcGateway) -> None:
    async def requests() -> AsyncIterator[dict[str, object]]:
        for n in range(3):
            for sequence in (7, 8):
                yield {
                    "model_name": "a",
                    "inputs": [],
                    "request_id": f"{sequence}-{n}",
                    "sequence_id": sequence,
                    "sequence_start": n == 0,
                    "sequence_end": n == 2,
                }

    async with gateway, triton_grpc.InferenceServerClient(gateway.address) as client:
        heard = []
        async with asyncio.timeout(20):
            async for result, error in client.stream_infer(requests()):
                assert error is None
                heard.append(result.get_response().id)
    assert sorted(heard) == ["7-0", "7-1", "7-2", "8-0", "8-1", "8-2"]
    assert [name for name in heard if name[0] == "7"] == ["7-0", "7-1", "7-2"]
    assert sorted(call.sequence.id for call in gateway.triton.calls if call.sequence) == ["7", "8"]


async def test_every_call_knows_where_it_comes_from_and_what_was_called(
    gateway: GrpcGateway, triton: EchoTriton
) -> None:
    async with gateway, grpc.aio.insecure_channel(gateway.address) as channel:
        client = calling(channel, STREAM)(metadata=(("host", "elsewhere"),))
        for model in ("a", "c"):
            await client.write(request(model, "1"))
            await within(client.read())
        await client.done_writing()
        assert await within(client.read()) is grpc.aio.EOF
        for method, message in ((INFER, request("a")), ("/grpc.health.v1.Health/Check", b"\x0a\x01a")):
            asked: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
            await within(asked(message, metadata=(("host", "elsewhere"),)))
    assert {call.operation for call in triton.calls} >= {Operation.STREAM_INFER, Operation.INFER, Operation.MODEL_READY}
    assert {call.peer for call in triton.calls} == {"127.0.0.1"}
    hosts = [value.decode() for call in triton.calls for name, value in call.metadata if name == b"host"]
    assert hosts == [gateway.address] * len(triton.calls)
