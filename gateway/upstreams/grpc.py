"""Triton over gRPC: raw message bytes on one multiplexed channel."""

from __future__ import annotations

import re

import grpc
import grpc.aio

from gateway.config import LimitsSection
from gateway.core.call import Call, Operation, Reply
from gateway.core.errors import DeadlineExceeded, UpstreamBroken, UpstreamUnavailable
from gateway.wire import oip_grpc

_OPTIONS = (
    ("grpc.max_send_message_length", -1),  # the front end has the limit
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),  # gRPC's default waits up to two minutes before it tries again
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_http_proxy", 0),
)

# gRPC makes up statuses for what goes wrong on this side and names sockets and addresses in them. The API does not
# tell them from statuses that came over the wire, so their words do.
_MADE_BY_TRANSPORT = re.compile(
    r"^failed to connect|Socket closed|Stream removed|onnection (?:reset|refused|closed)|Broken pipe|GOAWAY|RST_STREAM"
    r"|recvmsg|sendmsg|keepalive|\bipv[46]:|\bunix:|Channel (?:closed|is closed)"
)


class GrpcUpstream:
    """One Triton.

    Args:
        address: "host:port" of its gRPC service.
        limits: how long a connection may take to open.
    """

    def __init__(self, address: str, limits: LimitsSection) -> None:
        connect = ("grpc.min_reconnect_backoff_ms", round(1000 * limits.connect_timeout_seconds))
        self._channel = grpc.aio.insecure_channel(address, options=(*_OPTIONS, connect))
        self._methods: dict[Operation, grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]] = {
            operation: self._channel.unary_unary(path) for operation, path in oip_grpc.METHOD_OF.items()
        }
        self._closed = False

    async def infer(self, call: Call) -> Reply:
        """Send `call` and wait for the answer, as `Upstream.infer` says."""
        if self._closed:
            raise UpstreamUnavailable("the gateway is stopping")
        metadata = [(name.decode("ascii"), value) for name, value in oip_grpc.request_metadata(call.metadata)]
        try:
            body = await self._methods[call.operation](
                call.body, timeout=call.deadline.remaining(), metadata=metadata or None
            )
        except grpc.aio.AioRpcError as error:
            return _reply_of(error)
        return Reply(0, body=body)

    async def aclose(self) -> None:
        """Drop the connection."""
        self._closed = True
        await self._channel.close()


def _reply_of(error: grpc.aio.AioRpcError) -> Reply:
    """What Triton said; raises for what gRPC itself says when Triton did not answer."""
    code, details = error.code(), error.details() or ""
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        raise DeadlineExceeded("the request's time was up before Triton answered") from None
    if not _MADE_BY_TRANSPORT.search(details):
        return Reply(code.value[0], message=details)
    if details.startswith("failed to connect"):
        raise UpstreamUnavailable("Triton cannot be reached right now; try again shortly") from None
    raise UpstreamBroken(
        "the connection to Triton broke before its answer was complete; the request may have been executed"
    ) from None
