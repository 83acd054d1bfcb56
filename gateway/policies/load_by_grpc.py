"""Load and unload models over gRPC, also when they are asked for over HTTP; `wire/model_control.py` says why."""

from __future__ import annotations

from gateway.core.call import Call, ClientStream, Operation, Protocol, Reply
from gateway.core.policy import Next, NextStream
from gateway.wire.model_control import to_grpc, to_http

_LOADS = frozenset({Operation.LOAD_MODEL, Operation.UNLOAD_MODEL})


class LoadByGrpc:
    """Turns the one call into the other, and the answer back."""

    async def __call__(self, call: Call, proceed: Next) -> Reply:
        """Go on with what does the same over gRPC."""
        if call.protocol is Protocol.HTTP and call.operation in _LOADS:
            return to_http(await proceed(to_grpc(call)))
        return await proceed(call)

    async def stream(self, call: Call, client: ClientStream, proceed: NextStream) -> Reply:
        """Loading is no stream."""
        return await proceed(call, client)
