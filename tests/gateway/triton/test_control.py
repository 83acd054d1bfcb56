"""The control client against a small server; `tests/integration/` runs it against the real Triton."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import grpc
import pytest
from tritonclient.grpc import service_pb2

from gateway.repository.model_control import ControlError
from gateway.triton.control import TritonControl

Context = grpc.aio.ServicerContext[bytes, bytes]
SERVICE = "inference.GRPCInferenceService"


class FewAnswers:
    """Records what it is asked, and refuses to load `bad`."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes]] = []

    async def load(self, request: bytes, context: Context) -> bytes:
        self.asked.append(("load", request))
        if b"bad" in request:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "failed to load 'bad'")
        if b"slow" in request:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
        return b""

    async def unload(self, request: bytes, context: Context) -> bytes:
        self.asked.append(("unload", request))
        return b""


@pytest.fixture
def answers() -> FewAnswers:
    return FewAnswers()


@pytest.fixture
async def control(answers: FewAnswers) -> AsyncIterator[TritonControl]:
    server = grpc.aio.server()
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "RepositoryModelLoad": grpc.unary_unary_rpc_method_handler(answers.load),
        "RepositoryModelUnload": grpc.unary_unary_rpc_method_handler(answers.unload),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with TritonControl("127.0.0.1:9", f"127.0.0.1:{port}") as control:  # nobody answers on the discard port
        yield control
    await server.stop(None)


async def test_a_model_s_name_is_field_two_of_both_requests(control: TritonControl, answers: FewAnswers) -> None:
    await control.load("add", 5)
    await control.unload("m" * 300, 5)
    assert answers.asked == [("load", b"\x12\x03add"), ("unload", b"\x12\xac\x02" + b"m" * 300)]


async def test_a_configuration_goes_along_as_a_parameter(control: TritonControl, answers: FewAnswers) -> None:
    await control.load("add", 5, '{"name": "add"}')
    [(_, message)] = answers.asked
    request = service_pb2.RepositoryModelLoadRequest.FromString(message)
    assert request.model_name == "add"
    assert {name: value.string_param for name, value in request.parameters.items()} == {"config": '{"name": "add"}'}


async def test_triton_s_own_words_are_the_error(control: TritonControl) -> None:
    with pytest.raises(ControlError, match=r"^failed to load 'bad'$"):
        await control.load("bad", 5)


async def test_a_load_has_a_time_limit(control: TritonControl) -> None:
    with pytest.raises(ControlError, match="it was not loaded within 5 s"):
        await control.load("slow", 5)


async def test_instances_are_counted_on_each_gpu_of_their_group() -> None:
    groups = [{"count": 2, "kind": "KIND_GPU", "gpus": [0, 1]}, {"count": 1, "kind": "KIND_CPU"}]
    body = json.dumps({"name": "add", "instance_group": groups}).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        assert asked.startswith(b"GET /v2/models/add/versions/3/config ")
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with TritonControl(f"127.0.0.1:{port}", "127.0.0.1:9") as control:
            assert await control.instances("add", "3") == 5


async def test_a_server_that_is_not_there_is_not_live_and_answers_nothing(control: TritonControl) -> None:
    assert not await control.live()
    with pytest.raises(ControlError, match="Triton does not answer"):
        await control.ready("add")
    with pytest.raises(ControlError, match="Triton does not answer"):
        await control.index()
