import asyncio
import sys
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from gateway.core.call import Reply
from gateway.core.errors import MalformedMessage, UnsupportedFeature
from gateway.frontends.reflection import PATHS, SERVICES, Reflection
from gateway.wire import oip_grpc
from tests.gateway.frontends.grpc_doubles import EchoTriton, GrpcGateway, ScriptedClient, calling, opened, within

V1, V1ALPHA = PATHS


async def ask(*questions: Any) -> list[Any]:
    client = ScriptedClient(*[question.SerializeToString() for question in questions])
    client.half_close()
    assert await within(Reflection().serve(client, opened())) == Reply(0)
    return [reflection_pb2.ServerReflectionResponse.FromString(bytes(message)) for message in client.heard]


def question(**asked: Any) -> Any:
    return reflection_pb2.ServerReflectionRequest(host="here", **asked)


async def test_it_lists_exactly_what_is_served() -> None:
    [answer] = await ask(question(list_services=""))
    assert [service.name for service in answer.list_services_response.service] == list(SERVICES)
    assert answer.valid_host == "here"
    assert answer.original_request == question(list_services="")


@pytest.mark.parametrize(
    ("symbol", "files"),
    [
        ("inference.GRPCInferenceService", ["grpc_service.proto", "model_config.proto"]),
        ("inference.GRPCInferenceService.ModelInfer", ["grpc_service.proto", "model_config.proto"]),
        ("inference.ModelInferRequest.InferInputTensor", ["grpc_service.proto", "model_config.proto"]),
        ("inference.ModelConfig", ["model_config.proto"]),
        ("grpc.health.v1.Health", ["grpc_health/v1/health.proto"]),
        ("grpc.reflection.v1.ServerReflection", ["grpc_reflection/v1/reflection.proto"]),
        ("grpc.reflection.v1alpha.ServerReflection", ["grpc_reflection/v1alpha/reflection.proto"]),
    ],
)
async def test_a_symbol_gives_its_file_and_those_it_needs(symbol: str, files: list[str]) -> None:
    [answer] = await ask(question(file_containing_symbol=symbol))
    found = [FileDescriptorProto.FromString(b) for b in answer.file_descriptor_response.file_descriptor_proto]
    assert [file.name for file in found] == files
    [again] = await ask(question(file_by_filename=files[0]))
    assert again.file_descriptor_response == answer.file_descriptor_response


@pytest.mark.parametrize(
    "asked",
    [
        {"file_containing_symbol": "google.protobuf.FileDescriptorProto"},  # in the process, and not served
        {"file_containing_symbol": "inference.GRPCInferenceService.Nope"},
        {"file_containing_symbol": ""},
        {"file_by_filename": "../etc/passwd"},
        {"all_extension_numbers_of_type": "nope"},
        {"file_containing_extension": {"containing_type": "inference.ModelConfig", "extension_number": 1}},
        {},
    ],
)
async def test_what_is_not_served_is_not_found(asked: dict[str, Any]) -> None:
    [answer, after] = await ask(question(**asked), question(list_services=""))
    assert answer.error_response.error_code == 5
    assert after.HasField("list_services_response")


async def test_no_message_has_extensions() -> None:
    [answer] = await ask(question(all_extension_numbers_of_type="inference.ModelConfig"))
    assert answer.all_extension_numbers_response.base_type_name == "inference.ModelConfig"
    assert list(answer.all_extension_numbers_response.extension_number) == []


async def test_garbage_ends_the_stream() -> None:
    with pytest.raises(MalformedMessage):
        await within(Reflection().serve(ScriptedClient(b"\xff"), opened()))


async def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grpc_health.v1.health_pb2", None)
    with pytest.raises(UnsupportedFeature, match=r"pip install .*grpcio-reflection"):
        await within(Reflection().serve(ScriptedClient(), opened()))


async def test_who_does_not_ask_does_not_pay() -> None:
    code = (
        "import sys, gateway.frontends.reflection as r; r.Reflection(); "
        "print([m for m in sys.modules if m.partition('.')[0] in ('google', 'grpc', 'numpy', 'tritonclient')])"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    out, _ = await within(process.communicate())
    assert out.strip() == b"[]"


async def test_the_stock_client_learns_the_whole_protocol() -> None:
    def learn(address: str) -> tuple[list[str], set[str]]:
        with grpc.insecure_channel(address) as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            services = list(database.get_services())
            service = DescriptorPool(database).FindServiceByName(oip_grpc.SERVICE)
            return services, {f"/{oip_grpc.SERVICE}/{method.name}" for method in service.methods}

    async with GrpcGateway(EchoTriton()) as gateway:
        services, methods = await within(asyncio.to_thread(learn, gateway.address))
    assert services == list(SERVICES)
    assert methods == set(oip_grpc.METHODS)


async def test_both_versions_are_served() -> None:
    asked = question(file_containing_symbol="grpc.reflection.v1.ServerReflection").SerializeToString()
    async with GrpcGateway(EchoTriton()) as gateway, grpc.aio.insecure_channel(gateway.address) as channel:
        answers = []
        for path in (V1, V1ALPHA):
            call = calling(channel, path)()
            await call.write(asked)
            answers.append(await within(call.read()))
            await call.done_writing()
            assert await within(call.code()) is grpc.StatusCode.OK
    assert answers[0] == answers[1]
    assert isinstance(answers[0], bytes)
    assert b"grpc.reflection.v1" in answers[0]
