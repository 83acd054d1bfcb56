"""gRPC in front: which methods there are, and what becomes of a call to one of them.

One request, in order: look the method up in the closed table, read the message's head, make the `Call`, walk the
chain, return the `Reply`. Everything that goes wrong on the way becomes a status through `wire/status.py`. HTTP/2
itself is the business of `grpc_server.py`, which calls this.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from gateway.core.call import Body, Call, ClientStream, Operation, Protocol, Reply
from gateway.core.deadline import Deadline
from gateway.core.errors import DeadlineExceeded, GatewayError
from gateway.frontends import grpc_lanes, health, reflection
from gateway.frontends import request_id as request_ids
from gateway.frontends.intake import Intake
from gateway.frontends.serving import Current
from gateway.wire import oip_grpc, status
from gateway.wire.http2.grpc_fields import RequestHead

_log = logging.getLogger("gateway.grpc")

_FOR_EVER = 7 * 24 * 3600.0  # seconds; a stream lives as long as its client wants, and a deadline is a number

_Stream = Callable[[ClientStream, Call], Awaitable[Reply]]


class GrpcFrontend:
    """Everything that a gRPC client may call: the inference service, health and reflection.

    Args:
        current: what to serve with; read once a request, so that a new configuration holds from the next one on.
        intake: counts what is not answered yet.
    """

    def __init__(self, current: Current, intake: Intake) -> None:
        self._current = current
        self._intake = intake
        self._health = health.Health(current, intake)
        self._operations = {
            path: (method.operation, path.encode()) for path, method in oip_grpc.METHODS.items() if not method.streaming
        }
        reflect = reflection.Reflection().serve
        self._streams: dict[str, _Stream] = {grpc_lanes.PATH: self._infer, health.WATCH: self._health.watch}
        self._streams.update(dict.fromkeys(reflection.PATHS, reflect))
        self._streaming = {
            **dict.fromkeys(self._operations, False),
            **dict.fromkeys(self._streams, True),
            health.CHECK: False,
        }

    def streaming(self, path: str) -> bool | None:
        """Whether the method at `path` is a stream; None where there is no such method."""
        return self._streaming.get(path)

    async def unary(self, head: RequestHead, message: Body, peer: str) -> Reply:
        """Answer one request; all that goes wrong is an answer too.

        Args:
            head: what its headers say; of its path, `streaming` says False.
            message: the request message, whole and decompressed.
            peer: the client's address; empty if it is not known.

        Returns:
            the status, the response message and the trailing metadata.
        """
        request_id = request_ids.request_id(head.metadata)
        try:
            if head.path == health.CHECK:
                reply = await self._health.check(_opened(head, request_id, peer), message)
            else:
                reply = await self._answer(head, message, request_id, peer)
        except GatewayError as error:
            reply = status.grpc_reply(error)
        except Exception as error:
            _log.exception("request %s failed inside the gateway", request_id)
            reply = status.grpc_reply(error)
        return request_ids.identified(reply, request_id)

    async def _answer(self, head: RequestHead, message: Body, request_id: str, peer: str) -> Reply:
        serving, intake = self._current.serving, self._intake
        operation, line = self._operations[head.path]
        about = oip_grpc.read_head(head.path, message, serving.admin.shared_memory)
        if operation is Operation.SERVER_LIVE:
            return Reply(status.OK, body=oip_grpc.LIVE)  # the gateway's own, as over HTTP
        if operation is Operation.SERVER_READY and intake.leaving:
            return Reply(status.OK)  # an empty ServerReadyResponse says no
        seconds, timeout = serving.limits.deadline_seconds, head.timeout
        if timeout is not None and timeout < seconds:
            seconds = timeout
        intake.enter()
        try:
            return await serving.chain.infer(
                Call(
                    protocol=Protocol.GRPC,
                    operation=operation,
                    line=line,
                    model=about.model,
                    version=about.version,
                    request_id=request_id,
                    metadata=head.metadata,
                    body=message,
                    head_len=len(message),
                    deadline=Deadline.after(seconds),
                    sequence=about.sequence,
                    peer=peer,
                )
            )
        finally:
            intake.leave()

    async def stream(self, head: RequestHead, client: ClientStream, peer: str) -> Reply:
        """Serve one stream to its end; all that goes wrong is an end too.

        Args:
            head: what its headers say; of its path, `streaming` says True.
            client: the client's end.
            peer: as in `unary`.

        Returns:
            the status and the trailing metadata.
        """
        request_id = request_ids.request_id(head.metadata)
        try:
            async with asyncio.timeout(head.timeout):
                reply = await self._streams[head.path](client, _opened(head, request_id, peer))
        except TimeoutError:
            reply = status.grpc_reply(DeadlineExceeded("the time that the client gave this stream is up"))
        except GatewayError as error:
            reply = status.grpc_reply(error)
        except Exception as error:
            _log.exception("stream %s failed inside the gateway", request_id)
            reply = status.grpc_reply(error)
        return request_ids.identified(reply, request_id)

    async def _infer(self, client: ClientStream, call: Call) -> Reply:
        """ModelStreamInfer."""
        self._intake.enter()
        try:
            return await grpc_lanes.Lanes(self._current, client, call, self._intake).run()
        finally:
            self._intake.leave()


def _opened(head: RequestHead, request_id: str, peer: str) -> Call:
    """What is known of a stream when it opens, before its messages."""
    return Call(
        protocol=Protocol.GRPC,
        operation=Operation.STREAM_INFER,
        line=head.path.encode(),
        model="",
        version="",
        request_id=request_id,
        metadata=head.metadata,
        body=b"",
        head_len=0,
        deadline=Deadline.after(_FOR_EVER if head.timeout is None else head.timeout),
        peer=peer,
    )
