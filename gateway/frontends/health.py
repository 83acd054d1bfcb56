"""The standard gRPC health service, `grpc.health.v1`: what load balancers and probes ask.

The name "" and the inference service's own stand for the gateway with its Tritons, any other for a model. Both are
asked through the chain of policies, like any client's readiness call. Asking is no work to be waited for, so it does
not enter the intake, and it is answered while the gateway drains.

A HealthCheckRequest with a service's name is, byte for byte, a ModelReadyRequest with a model's name: both are field 1.

Source: https://github.com/grpc/grpc/blob/master/doc/health-checking.md
"""

from __future__ import annotations

import asyncio
import logging

from msgspec.structs import replace

from gateway.core.call import Body, Call, ClientStream, Operation, Reply
from gateway.core.deadline import Deadline
from gateway.core.errors import GatewayError, InvalidRequest, ShuttingDown
from gateway.frontends.intake import Intake
from gateway.frontends.serving import Current
from gateway.wire import oip_grpc, status

_log = logging.getLogger("gateway.grpc")

CHECK = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"

# HealthCheckResponse: field 1, the enum ServingStatus.
SERVING = b"\x08\x01"
NOT_SERVING = b"\x08\x02"
SERVICE_UNKNOWN = b"\x08\x03"

_SERVER_READY = f"/{oip_grpc.SERVICE}/ServerReady"
_MODEL_READY = f"/{oip_grpc.SERVICE}/ModelReady"
_MODEL_METADATA = f"/{oip_grpc.SERVICE}/ModelMetadata"
_READY = b"\x08\x01"  # ServerReadyResponse and ModelReadyResponse: field 1, true

_PATIENCE = 5.0  # seconds that a Watch gives Triton for one answer; one that takes longer is not serving
_UNAUTHENTICATED = 16
_UNKNOWN = frozenset({status.NOT_FOUND, status.INVALID_ARGUMENT})
_REFUSED = frozenset({status.PERMISSION_DENIED, _UNAUTHENTICATED})


class _Refused(Exception):
    """A policy has refused the question, so there is no answer to give."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.message)
        self.reply = reply


class Health:
    """Both methods of the service.

    Args:
        current: the chain to ask.
        intake: once it is leaving, nothing is serving.
        every: seconds between two looks of a Watch.
    """

    def __init__(self, current: Current, intake: Intake, every: float = 1.0) -> None:
        self._current = current
        self._intake = intake
        self._every = every

    async def check(self, asked: Call, message: Body) -> Reply:
        """Answer whether a service is serving; NOT_FOUND for one that does not exist.

        Args:
            asked: who asks, and until when the answer is waited for.
            message: the HealthCheckRequest.

        Raises:
            GatewayError: the request cannot be read.
        """
        seconds = self._current.serving.limits.deadline_seconds
        try:
            state = await self._state(asked, message, min(seconds, asked.deadline.remaining()))
        except _Refused as refused:
            return refused.reply
        if state == SERVICE_UNKNOWN:
            return Reply(status.NOT_FOUND, message="there is no such service; ask for a model's name, or for none")
        return Reply(status.OK, body=state)

    async def watch(self, client: ClientStream, asked: Call) -> Reply:
        """Tell the client how a service is, and again whenever that changes, until one of the two goes.

        Args:
            client: the client's end.
            asked: as in `check`.

        Raises:
            GatewayError: the request cannot be read, the client went away or its time is up.
        """
        message = await client.receive()
        if message is None:
            raise InvalidRequest("the request has no message; send one HealthCheckRequest")
        await client.start(())
        told = b""
        while not asked.deadline.expired:
            try:
                state = await self._state(asked, message, _PATIENCE)
            except _Refused as refused:
                return refused.reply
            if state != told:
                await client.send(state)
                told = state
            if self._intake.closed:
                raise ShuttingDown("this gateway is stopping; watch another")
            await asyncio.sleep(self._every)
        return Reply(status.DEADLINE_EXCEEDED, message="the time of this watch is up")

    async def _state(self, asked: Call, message: Body, seconds: float) -> bytes:
        """SERVING, NOT_SERVING or SERVICE_UNKNOWN.

        Raises:
            InvalidRequest: the message cannot be read.
            _Refused: a policy refuses the question.
        """
        head = oip_grpc.read_head(_MODEL_READY, message, False)
        if self._intake.leaving:
            return NOT_SERVING
        if head.model in ("", oip_grpc.SERVICE):
            head, message = oip_grpc.Head(), b""
        call = replace(
            asked,
            operation=Operation.MODEL_READY if head.model else Operation.SERVER_READY,
            line=(_MODEL_READY if head.model else _SERVER_READY).encode(),
            model=head.model,
            version=head.version,
            body=message,
            head_len=len(message),
            deadline=Deadline.after(seconds),
        )
        reply = await self._ask(call)
        if reply.status == status.OK and reply.body == _READY:
            return SERVING
        if reply.status == status.OK and head.model:
            # Triton says "not ready" of models that it has never heard of, too; this request has the same fields.
            reply = await self._ask(replace(call, operation=Operation.MODEL_METADATA, line=_MODEL_METADATA.encode()))
        if reply.status in _REFUSED:
            raise _Refused(reply)
        return SERVICE_UNKNOWN if head.model and reply.status in _UNKNOWN else NOT_SERVING

    async def _ask(self, call: Call) -> Reply:
        try:
            return await self._current.serving.chain.infer(call)
        except GatewayError as error:
            return status.grpc_reply(error)
        except Exception as error:
            _log.exception("health check %s failed inside the gateway", call.request_id)
            return status.grpc_reply(error)
