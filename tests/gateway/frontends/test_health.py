import asyncio
from collections.abc import AsyncIterator, Callable

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.core.call import Call, Operation, Reply
from gateway.core.errors import Forbidden, InvalidRequest, UpstreamUnavailable
from gateway.core.policy import Chain
from gateway.frontends.health import NOT_SERVING, SERVICE_UNKNOWN, SERVING, Health
from gateway.frontends.intake import Intake
from gateway.frontends.serving import Current
from tests.gateway.frontends.grpc_doubles import EchoTriton, GrpcGateway, ScriptedClient, opened, serving_with, within

YES, NO = Reply(0, body=b"\x08\x01"), Reply(0)


class ReadyTriton(EchoTriton):
    """Says of the server and of the model "here" what `answer` says, and knows no other: `vague`, that is not ready."""

    def __init__(self) -> None:
        super().__init__()
        self.vague = False
        self.answer: Reply | Exception = YES

    async def infer(self, call: Call) -> Reply:
        self.calls.append(call)
        if isinstance(self.answer, Exception):
            raise self.answer
        if call.operation is Operation.MODEL_METADATA and call.model == "here":
            return Reply(0, body=b"\x0a\x04here")
        if call.model not in ("", "here"):
            if call.operation is Operation.MODEL_READY and self.vague:
                return NO
            return Reply(5, message=f"Request for unknown model: '{call.model}' is not found")
        return self.answer


def asking(service: str) -> bytes:
    return bytes(health_pb2.HealthCheckRequest(service=service).SerializeToString())


@pytest.fixture
def triton() -> ReadyTriton:
    return ReadyTriton()


@pytest.fixture
def intake() -> Intake:
    return Intake(1000)


@pytest.fixture
def health(triton: ReadyTriton, intake: Intake) -> Health:
    return Health(Current(serving_with(Chain(triton.infer, triton.stream))), intake, every=0.01)


async def check(health: Health, service: str) -> Reply:
    return await health.check(opened(), asking(service))


@pytest.mark.parametrize("service", ["", "inference.GRPCInferenceService"])
async def test_the_gateways_health_is_its_readiness(health: Health, triton: ReadyTriton, service: str) -> None:
    assert await check(health, service) == Reply(0, body=SERVING)
    triton.answer = NO
    assert await check(health, service) == Reply(0, body=NOT_SERVING)
    triton.answer = UpstreamUnavailable("Triton is gone")
    assert await check(health, service) == Reply(0, body=NOT_SERVING)
    assert {(call.operation, call.model, bytes(call.body)) for call in triton.calls} == {
        (Operation.SERVER_READY, "", b"")
    }


async def test_a_models_health_is_its_readiness(health: Health, triton: ReadyTriton) -> None:
    assert await check(health, "here") == Reply(0, body=SERVING)
    triton.answer = NO
    assert await check(health, "here") == Reply(0, body=NOT_SERVING)
    assert (await check(health, "elsewhere")).status == 5
    assert [(call.operation, call.model) for call in triton.calls[:1]] == [(Operation.MODEL_READY, "here")]


async def test_a_model_that_triton_never_heard_of_is_unknown_and_not_only_not_ready(
    health: Health, triton: ReadyTriton
) -> None:
    triton.vague = True
    assert (await check(health, "elsewhere")).status == 5
    assert [call.operation for call in triton.calls] == [Operation.MODEL_READY, Operation.MODEL_METADATA]
    assert triton.calls[1].line == b"/inference.GRPCInferenceService/ModelMetadata"
    assert {call.model for call in triton.calls} == {"elsewhere"}


async def test_a_gateway_that_leaves_is_not_serving(health: Health, triton: ReadyTriton, intake: Intake) -> None:
    intake.leave_soon()
    assert await check(health, "") == Reply(0, body=NOT_SERVING)
    assert await check(health, "here") == Reply(0, body=NOT_SERVING)
    assert triton.calls == []


async def test_who_may_not_ask_gets_the_refusal(health: Health, triton: ReadyTriton) -> None:
    triton.answer = Forbidden("not for you")
    assert await check(health, "here") == Reply(7, message="not for you")
    client = ScriptedClient(asking(""))
    assert await within(health.watch(client, opened())) == Reply(7, message="not for you")
    assert client.heard == []


async def test_a_bug_is_not_serving_and_logged(
    health: Health, triton: ReadyTriton, caplog: pytest.LogCaptureFixture
) -> None:
    triton.answer = ZeroDivisionError("secret")
    assert await check(health, "") == Reply(0, body=NOT_SERVING)
    assert "ZeroDivisionError" in caplog.text


async def test_two_services_in_one_question_are_refused(health: Health) -> None:
    with pytest.raises(InvalidRequest):
        await health.check(opened(), asking("here") + asking("elsewhere"))


async def test_a_watch_tells_every_change_once(health: Health, triton: ReadyTriton) -> None:
    client = ScriptedClient(asking("here"))
    client.half_close()
    watch = asyncio.create_task(health.watch(client, opened()))
    await until_heard(client, [SERVING])
    looked = len(triton.calls)
    await asleep_until(lambda: len(triton.calls) > looked + 3)
    triton.answer = NO
    await until_heard(client, [SERVING, NOT_SERVING])
    triton.answer = Reply(5, message="unloaded")
    await until_heard(client, [SERVING, NOT_SERVING, SERVICE_UNKNOWN])
    assert client.started == [()]
    watch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watch


async def test_a_watch_ends_with_its_time_or_the_gateway(health: Health, intake: Intake) -> None:
    client = ScriptedClient(asking(""))
    assert (await within(health.watch(client, opened(0.05)))).status == 4
    intake.close()
    client = ScriptedClient(asking(""))
    with pytest.raises(Exception, match="stopping"):
        await within(health.watch(client, opened()))
    assert client.heard == [NOT_SERVING]


async def test_a_watch_of_nothing_is_refused(health: Health) -> None:
    client = ScriptedClient()
    client.half_close()
    with pytest.raises(InvalidRequest, match="no message"):
        await within(health.watch(client, opened()))


async def until_heard(client: ScriptedClient, states: list[bytes]) -> None:
    async with asyncio.timeout(10):
        while client.heard != states:
            await asyncio.sleep(0.005)


async def asleep_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture
async def gateway(triton: ReadyTriton) -> AsyncIterator[GrpcGateway]:
    async with GrpcGateway(triton) as gateway:
        yield gateway


async def test_the_stock_client_understands_it(gateway: GrpcGateway, triton: ReadyTriton) -> None:
    async with grpc.aio.insecure_channel(gateway.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Check(health_pb2.HealthCheckRequest(service="elsewhere"))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND

        watch = stub.Watch(health_pb2.HealthCheckRequest(service="elsewhere"))
        assert (await within(watch.read())).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        watch.cancel()

        watch = stub.Watch(health_pb2.HealthCheckRequest(service="here"))
        assert (await within(watch.read())).status == health_pb2.HealthCheckResponse.SERVING
        triton.answer = NO
        assert (await within(watch.read())).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()
