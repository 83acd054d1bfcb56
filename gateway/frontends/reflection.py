"""Server reflection: tools such as grpcurl ask the gateway which services it has, and in what messages they speak.

The descriptors come from packages that publish them. They are imported in a thread when somebody asks for the first
time, because they cost tens of megabytes and a worker that is never asked must not pay for them. The answers come from
a pool of their own, which knows the services of this gateway and nothing else that the process may have imported.

Source: https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
"""

from __future__ import annotations

import asyncio
import logging
from importlib import import_module
from typing import Any

from gateway.core.call import Body, Call, ClientStream, Reply
from gateway.core.errors import MalformedMessage, UnsupportedFeature
from gateway.wire import oip_grpc, status

_log = logging.getLogger("gateway.grpc")

_PACKAGE = "grpc.reflection.v1"
PATHS = (
    f"/{_PACKAGE}.ServerReflection/ServerReflectionInfo",
    f"/{_PACKAGE}alpha.ServerReflection/ServerReflectionInfo",
)
SERVICES = (
    "grpc.health.v1.Health",
    f"{_PACKAGE}.ServerReflection",
    f"{_PACKAGE}alpha.ServerReflection",
    oip_grpc.SERVICE,
)


class Reflection:
    """The service in both of its versions, whose messages are the same on the wire."""

    def __init__(self) -> None:
        self._catalog: _Catalog | None = None

    async def serve(self, client: ClientStream, asked: Call) -> Reply:  # noqa: ARG002 - the signature of every stream
        """Answer each of the client's questions.

        Raises:
            UnsupportedFeature: a package is missing.
            MalformedMessage: a question cannot be read.
        """
        if self._catalog is None:
            self._catalog = await asyncio.to_thread(_load)
        await client.start(())
        while (message := await client.receive()) is not None:
            await client.send(self._catalog.answer(message))
        return Reply(status.OK)


class _Catalog:
    """The descriptors of all services.

    Args:
        reflection: the module of the reflection service's messages.
        files: all descriptor files, each after those it needs.
    """

    def __init__(self, reflection: Any, files: list[Any]) -> None:
        self._messages = reflection
        self._pool = import_module("google.protobuf.descriptor_pool").DescriptorPool()
        for file in files:
            self._pool.Add(file)
        self._files = {file.name: file for file in files}
        self._decode_error = import_module("google.protobuf.message").DecodeError

    def answer(self, message: Body) -> bytes:
        """The answer to one ServerReflectionRequest.

        Raises:
            MalformedMessage: it is none.
        """
        try:
            request = self._messages.ServerReflectionRequest.FromString(bytes(message))
        except self._decode_error:
            raise MalformedMessage("Unable to parse request") from None
        response = self._messages.ServerReflectionResponse(
            valid_host=request.host,
            original_request=request,
        )
        try:
            self._fill(response, request)
        except KeyError:
            response.error_response.error_code = status.NOT_FOUND
            response.error_response.error_message = "not found; list_services names what there is"
        return bytes(response.SerializeToString())

    def _fill(self, response: Any, request: Any) -> None:
        """Answer a question.

        Raises:
            KeyError: what it asks for does not exist.
        """
        question = request.WhichOneof("message_request")
        if question == "list_services":
            for name in SERVICES:
                response.list_services_response.service.add(name=name)
        elif question == "file_by_filename":
            self._add(response, self._files[request.file_by_filename].name)
        elif question == "file_containing_symbol":
            self._add(response, self._file_of(request.file_containing_symbol))
        elif question == "all_extension_numbers_of_type":  # none of the messages has extensions
            self._pool.FindMessageTypeByName(request.all_extension_numbers_of_type)
            response.all_extension_numbers_response.base_type_name = request.all_extension_numbers_of_type
        else:
            raise KeyError(question)

    def _file_of(self, symbol: str) -> str:
        """The file that declares a message, an enum, a service, or a member of one."""
        try:
            return str(self._pool.FindFileContainingSymbol(symbol).name)
        except KeyError:
            owner, _, member = symbol.rpartition(".")
            service = self._pool.FindServiceByName(owner)  # the pool finds no methods
            return str(service.methods_by_name[member].containing_service.file.name)

    def _add(self, response: Any, name: str) -> None:
        """Put a file into the answer, and after it those it needs."""
        wanted, seen = [name], set()
        while wanted:
            file = self._files[wanted.pop(0)]
            if file.name not in seen:
                seen.add(file.name)
                response.file_descriptor_response.file_descriptor_proto.append(file.SerializeToString())
                wanted.extend(file.dependency)


def _load() -> _Catalog:
    """Import the packages that publish the descriptors.

    Raises:
        UnsupportedFeature: one is missing, or does not fit the others.
    """
    try:
        modules = [
            import_module(name)
            for name in (
                "tritonclient.grpc.model_config_pb2",
                "tritonclient.grpc.service_pb2",
                "grpc_health.v1.health_pb2",
                "grpc_reflection.v1alpha.reflection_pb2",
            )
        ]
        files = [_descriptor(module) for module in modules]
        return _Catalog(modules[-1], [*files, _as_v1(files[-1])])
    except Exception as error:  # protobuf refuses packages that are newer than itself with an error of its own
        _log.warning("server reflection is not available: %s", error)
        raise UnsupportedFeature(
            "server reflection is not installed here; its operator can have it with "
            "`pip install 'tritonclient[grpc]' 'grpcio-health-checking<1.82' 'grpcio-reflection<1.82'`"
        ) from None


def _descriptor(module: Any) -> Any:
    file = import_module("google.protobuf.descriptor_pb2").FileDescriptorProto()
    module.DESCRIPTOR.CopyToProto(file)
    return file


def _as_v1(alpha: Any) -> Any:
    """The file of `grpc.reflection.v1`, which no package publishes: the same messages under another name."""
    text_format = import_module("google.protobuf.text_format")
    return text_format.Parse(text_format.MessageToString(alpha).replace("v1alpha", "v1"), type(alpha)())
