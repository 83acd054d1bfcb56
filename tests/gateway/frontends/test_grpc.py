from collections.abc import AsyncIterator

import grpc
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from gateway.config import GrpcSection
from gateway.core.call import Call, Operation, Protocol, Reply
from gateway.core.errors import SetupError
from gateway.frontends.grpc import GrpcFrontend, bind
from tests.gateway.conftest import FakeGateway


@pytest.fixture
async def channel(fake_gateway: FakeGateway) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(fake_gateway.grpc) as channel:
        yield channel


def raw(channel: grpc.aio.Channel, method: str) -> grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]:
    return channel.unary_unary(f"/inference.GRPCInferenceService/{method}")


async def refusal(call: grpc.aio.UnaryUnaryCall[bytes, bytes]) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def test_an_inference_reaches_triton_byte_for_byte(channel: grpc.aio.Channel, fake_gateway: FakeGateway) -> None:
    request = service_pb2.ModelInferRequest(model_name="echo", model_version="1", id="7")
    request.raw_input_contents.append(bytes(range(256)))
    message = request.SerializeToString()

    assert await raw(channel, "ModelInfer")(message) == message

    [call] = fake_gateway.upstream.calls
    assert (call.protocol, call.operation, call.model, call.version) == (Protocol.GRPC, Operation.INFER, "echo", "1")
    assert call.body == message


async def test_liveness_is_the_gateways_own(channel: grpc.aio.Channel, fake_gateway: FakeGateway) -> None:
    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
    await fake_gateway.upstream.aclose()
    assert (await stub.ServerLive(service_pb2.ServerLiveRequest())).live
    error = await refusal(stub.ServerReady(service_pb2.ServerReadyRequest()))
    assert error.code() is grpc.StatusCode.UNAVAILABLE


async def test_tritons_refusal_comes_through(channel: grpc.aio.Channel) -> None:
    message = service_pb2.ModelMetadataRequest(name="nope").SerializeToString()
    error = await refusal(raw(channel, "ModelMetadata")(message))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert error.details() == "Request for unknown model: 'nope' is not found"


@pytest.mark.parametrize("method", ["ModelInfer", "ServerLive", "RepositoryIndex"])
async def test_garbage_is_refused_in_tritons_words(channel: grpc.aio.Channel, method: str) -> None:
    error = await refusal(raw(channel, method)(b"\xff\xff\xff"))
    assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, "Unable to parse request")


async def test_a_request_for_two_models_is_refused(channel: grpc.aio.Channel, fake_gateway: FakeGateway) -> None:
    error = await refusal(raw(channel, "ModelInfer")(b"\x0a\x04echo\x0a\x05other"))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert fake_gateway.upstream.calls == []


@pytest.mark.parametrize("method", ["ModelStatistics", "RepositoryModelUnload", "SystemSharedMemoryStatus", "Nope"])
async def test_what_is_not_in_the_table_is_unimplemented(channel: grpc.aio.Channel, method: str) -> None:
    assert (await refusal(raw(channel, method)(b""))).code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_message_above_the_limit_is_refused_and_the_gateway_lives(channel: grpc.aio.Channel) -> None:
    request = service_pb2.ModelInferRequest(model_name="echo", raw_input_contents=[b"x" * 200_000])
    error = await refusal(raw(channel, "ModelInfer")(request.SerializeToString()))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await raw(channel, "ServerLive")(b"") == b"\x08\x01"


async def test_the_clients_deadline_wins_when_it_is_shorter(
    channel: grpc.aio.Channel, fake_gateway: FakeGateway
) -> None:
    fake_gateway.upstream.gate.clear()
    error = await refusal(raw(channel, "ModelInfer")(b"\x0a\x04echo", timeout=0.2))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    [call] = fake_gateway.upstream.calls
    assert call.deadline.remaining() < 0.2


async def test_every_reply_carries_a_request_id(channel: grpc.aio.Channel) -> None:
    call = raw(channel, "ServerMetadata")(b"", metadata=(("x-request-id", "mine"),))
    await call
    assert dict(await call.trailing_metadata())["x-request-id"] == "mine"
    refused = raw(channel, "ModelConfig")(b"\x0a\x04nope")
    await refusal(refused)
    assert len(dict(await refused.trailing_metadata())["x-request-id"]) == 16


async def test_a_bug_is_internal_and_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(call: Call) -> Reply:
        raise ZeroDivisionError("secret")

    server, port = bind(GrpcFrontend(broken, 5), GrpcSection(host="127.0.0.1", port=0))
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        error = await refusal(raw(channel, "ServerMetadata")(b""))
    await server.stop(None)
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in str(error.details())
    assert "ZeroDivisionError" in caplog.text


async def test_a_port_in_use_is_named(fake_gateway: FakeGateway) -> None:
    port = int(fake_gateway.grpc.rpartition(":")[2])
    with pytest.raises(SetupError, match=rf"port {port} \(grpc.port\) on 127.0.0.1 is in use"):
        bind(GrpcFrontend(fake_gateway.upstream.infer, 5), GrpcSection(host="127.0.0.1", port=port))
