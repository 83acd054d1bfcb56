"""gRPC in front: generic handlers that pass each message on as the bytes it came in.

One request, in order: look the method up in the closed table, read the message's head, make the `Call`, walk the
chain, return the `Reply`. Everything that goes wrong on the way becomes a status through `wire/status.py`.
"""

from __future__ import annotations

import logging
from typing import Any

import grpc
import grpc.aio

from gateway.config import GrpcSection
from gateway.core.call import Call, Metadata, Operation, Protocol, Reply
from gateway.core.deadline import Deadline
from gateway.core.errors import GatewayError, SetupError
from gateway.core.policy import Next
from gateway.frontends import request_id as request_ids
from gateway.wire import oip_grpc, status

_log = logging.getLogger("gateway.grpc")

_CODES = {code.value[0]: code for code in grpc.StatusCode}


class GrpcFrontend(grpc.GenericRpcHandler):
    """The handler of every method in the table; methods outside it are UNIMPLEMENTED.

    Args:
        chain: the policies around the gRPC upstream.
        deadline_seconds: how long a request may take when its client does not say less.
    """

    def __init__(self, chain: Next, deadline_seconds: float) -> None:
        self._chain = chain
        self._deadline_seconds = deadline_seconds
        self._handlers = {path: self._handler(path) for path in oip_grpc.METHODS}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """The handler of one incoming call."""
        return self._handlers.get(handler_call_details.method)

    def _handler(self, path: str) -> grpc.RpcMethodHandler[bytes, bytes]:
        async def serve(message: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            metadata = _metadata(context.invocation_metadata())
            request_id = request_ids.request_id(metadata)
            try:
                reply = await self._answer(path, message, metadata, request_id, context.time_remaining())
            except GatewayError as error:
                reply = status.grpc_reply(error)
            except Exception as error:
                _log.exception("request %s failed inside the gateway", request_id)
                reply = status.grpc_reply(error)
            context.set_trailing_metadata(((request_ids.NAME.decode(), request_id),))
            if reply.status != status.OK:
                await context.abort(_CODES.get(reply.status, grpc.StatusCode.UNKNOWN), reply.message)
            return reply.body

        # No (de)serializers: bytes in, bytes out.
        return grpc.unary_unary_rpc_method_handler(serve)

    async def _answer(
        self, path: str, message: bytes, metadata: Metadata, request_id: str, time_remaining: float | None
    ) -> Reply:
        operation = oip_grpc.METHODS[path].operation
        head = oip_grpc.read_head(path, message)
        if operation is Operation.SERVER_LIVE:
            return Reply(status.OK, body=oip_grpc.LIVE)  # the gateway's own, as over HTTP
        seconds = self._deadline_seconds
        if time_remaining is not None:
            seconds = min(seconds, time_remaining)
        return await self._chain(
            Call(
                protocol=Protocol.GRPC,
                operation=operation,
                model=head.model,
                version=head.version,
                request_id=request_id,
                metadata=metadata,
                body=message,
                head_len=len(message),
                deadline=Deadline.after(seconds),
            )
        )


def bind(frontend: GrpcFrontend, section: GrpcSection) -> tuple[grpc.aio.Server, int]:
    """A server for `frontend`, bound and not yet started, and the port it got.

    Raises:
        SetupError: the port is taken.
    """
    options: list[tuple[str, Any]] = [
        ("grpc.max_receive_message_length", section.max_message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),  # otherwise a second gateway would share the port unnoticed
    ]
    server = grpc.aio.server(options=options)
    server.add_generic_rpc_handlers((frontend,))
    host = f"[{section.host}]" if ":" in section.host else section.host
    try:
        port = server.add_insecure_port(f"{host}:{section.port}")
    except RuntimeError:
        port = 0
    if not port:
        raise SetupError(
            f"port {section.port} (grpc.port) on {section.host} is in use; stop what uses it, or set another"
        )
    return server, port


def _metadata(metadata: Any) -> Metadata:
    pairs = metadata or ()
    return tuple([(key.encode(), value if isinstance(value, bytes) else value.encode()) for key, value in pairs])
