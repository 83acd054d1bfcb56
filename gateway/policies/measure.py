"""Count how the inferences of each route's targets go, and how long they take: what a canary is judged by."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from gateway.core.call import Body, Call, ClientStream, Metadata, Operation, Protocol, Reply
from gateway.core.errors import ClientGone, GatewayError, Overloaded, ShuttingDown
from gateway.core.policy import Next, NextStream
from gateway.traffic.measures import Measures

_INFER, _GENERATE = Operation.INFER, Operation.GENERATE
_STREAMS = (Operation.GENERATE_STREAM, Operation.STREAM_INFER)
_HTTP = Protocol.HTTP

_NOT_THE_TARGET_S_FAULT = (ClientGone, Overloaded, ShuttingDown)

# How errors begin in the middle of a stream: Triton's event, and field 1 (the error) of ModelStreamInferResponse.
_ERROR_EVENT, _ERROR_FIELD = b'data: {"error":', b"\x0a"


class Measure:
    """Counts the inferences that took a route. Questions about a model are none; calls that end early count nowhere.

    A refusal counts as a failure, too: a target that refuses what another one accepts is wrong, and chance gives both
    the same share of bad requests.

    Args:
        measures: keeps the counts.
        now: seconds of a monotonic clock.
    """

    def __init__(self, measures: Measures, now: Callable[[], float] = time.perf_counter) -> None:
        self._served = measures.served
        self._now = now

    async def __call__(self, call: Call, proceed: Next) -> Reply:
        """Go on, and count how it went and how long it took."""
        if not call.route or (call.operation is not _INFER and call.operation is not _GENERATE):
            return await proceed(call)
        started = self._now()
        try:
            reply = await proceed(call)
        except _NOT_THE_TARGET_S_FAULT:
            raise
        except GatewayError:
            self._served(call.route, call.variant, False, self._now() - started)
            raise
        ok = reply.status < 400 if call.protocol is _HTTP else not reply.status
        self._served(call.route, call.variant, ok, self._now() - started)
        return reply

    async def stream(self, call: Call, client: ClientStream, proceed: NextStream) -> Reply:
        """Go on, and count how it went: a stream fails by its end, and by an error in the middle, at once.

        It counts once, however many requests a gRPC stream has for one target: chance chose for all of them together.
        How long it takes is up to the client.
        """
        if not call.route or call.operation not in _STREAMS:
            return await proceed(call, client)
        failed = partial(self._served, call.route, call.variant, False, None)
        watched = _Watched(client, _ERROR_EVENT if call.protocol is _HTTP else _ERROR_FIELD, failed)
        try:
            reply = await proceed(call, watched)
        except _NOT_THE_TARGET_S_FAULT:
            raise
        except GatewayError:
            watched.fail()
            raise
        if reply.status >= 400 if call.protocol is _HTTP else reply.status:
            watched.fail()
        elif not watched.failed:
            self._served(call.route, call.variant, True, None)
        return reply


class _Watched:
    """The client's end of a stream, and whether it has been told of an error.

    Args:
        client: the client's end.
        error: how an error begins.
        tell: is told of the first failure.

    Attributes:
        failed: whether the stream has.
    """

    def __init__(self, client: ClientStream, error: bytes, tell: Callable[[], None]) -> None:
        self.failed = False
        self._client = client
        self._error = error
        self._tell = tell

    def fail(self) -> None:
        """The stream has failed, if it had not yet."""
        if not self.failed:
            self.failed = True
            self._tell()

    async def receive(self) -> Body | None:
        """The client's next message."""
        return await self._client.receive()

    async def start(self, metadata: Metadata) -> None:
        """Say that the stream is on."""
        await self._client.start(metadata)

    async def send(self, message: Body) -> None:
        """Give the client one message or piece."""
        if message.startswith(self._error) and message[1:2] != b"\0":  # an empty text is no error
            self.fail()
        await self._client.send(message)
