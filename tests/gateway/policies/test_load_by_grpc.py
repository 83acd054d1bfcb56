import pytest

from gateway.core.call import Call, Operation, Protocol, Reply
from gateway.core.errors import InvalidRequest
from gateway.policies.load_by_grpc import LoadByGrpc
from gateway.wire import status
from tests.gateway.conftest import MakeCall


@pytest.mark.parametrize("operation", [Operation.LOAD_MODEL, Operation.UNLOAD_MODEL])
async def test_http_goes_on_as_grpc_and_comes_back_as_http(make_call: MakeCall, operation: Operation) -> None:
    asked: list[Call] = []

    async def triton(call: Call) -> Reply:
        asked.append(call)
        return Reply(status.INVALID_ARGUMENT, message="failed to load 'm', no version is available")

    reply = await LoadByGrpc()(make_call(operation=operation, model="m"), triton)
    assert asked[0].protocol is Protocol.GRPC
    assert reply.status == 400
    assert reply.body == b'{"error":"failed to load \'m\', no version is available"}'


@pytest.mark.parametrize(
    ("protocol", "operation"), [(Protocol.GRPC, Operation.LOAD_MODEL), (Protocol.HTTP, Operation.INFER)]
)
async def test_everything_else_goes_on_as_it_is(make_call: MakeCall, protocol: Protocol, operation: Operation) -> None:
    sent, asked = make_call(protocol=protocol, operation=operation), []

    async def triton(call: Call) -> Reply:
        asked.append(call)
        return Reply(200)

    assert await LoadByGrpc()(sent, triton) == Reply(200)
    assert asked == [sent]
    assert asked[0] is sent


async def test_what_cannot_be_translated_never_reaches_triton(make_call: MakeCall) -> None:
    async def triton(call: Call) -> Reply:
        raise AssertionError("must not be reached")

    with pytest.raises(InvalidRequest):
        await LoadByGrpc()(make_call(operation=Operation.LOAD_MODEL, body=b"[]"), triton)
