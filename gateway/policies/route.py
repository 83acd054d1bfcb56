"""Send calls of a public model name where its route says, and have the answers name the public model again."""

from __future__ import annotations

import random as _random
import re
import time
from collections.abc import Callable

from gateway.core.call import Body, Call, ClientStream, Metadata, Operation, Protocol, Reply
from gateway.core.errors import GatewayError
from gateway.core.policy import Next, NextStream
from gateway.policies.changed_events import ChangedEvents
from gateway.traffic.sequences import Sequences
from gateway.traffic.table import Table, Target, Way
from gateway.wire import oip_grpc, oip_http, oip_stream, rename_grpc, rename_http, status, unknown_model

# Looking up a member of an Enum costs as much as the rest of a decision.
_INFER = Operation.INFER
_HTTP = Protocol.HTTP
_ENDED_WELL = (status.OK, 200)
_BY_WEIGHT = (Operation.INFER, Operation.GENERATE, Operation.GENERATE_STREAM, Operation.STREAM_INFER)
_TO_THE_HEAVIEST = (
    Operation.MODEL_METADATA,
    Operation.MODEL_CONFIG,
    Operation.MODEL_READY,
    Operation.MODEL_STATISTICS,
)
_ROUTED = _BY_WEIGHT + _TO_THE_HEAVIEST


class Route:
    """Goes by a table of routes and aliases. What names no public model passes, at the price of one look-up.

    An inference goes to one target by weight; a question about the model to the one that weighs most. A stream is one
    call: all of it goes to one target. A sequence stays with the target that it began with, whatever becomes of the
    weights.

    Args:
        table: where everything goes.
        sequences: the targets of the sequences under way; it outlives the table.
        now: seconds of a monotonic clock.
        random: where chance comes from: at least 0, below 1.
        only_public: whether what takes no route and no alias is refused as Triton refuses models that do not exist.
    """

    def __init__(
        self,
        table: Table,
        sequences: Sequences,
        now: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = _random.random,
        *,
        only_public: bool = False,
    ) -> None:
        self._only_public = only_public
        self._find, self._is_routed = table.find, table.is_routed
        self._sequences = sequences
        self._now = now
        self._random = random

    async def __call__(self, call: Call, proceed: Next) -> Reply:
        """Go on with the call as its target is to get it.

        Raises:
            InvalidRequest: the route has no target of the version that is asked for.
        """
        way = self._way(call)
        if self._only_public and self._hidden(call, way):
            return unknown_model.reply(call)
        if way is None:
            return await proceed(call)
        target = self._target(call, way)
        there = retargeted(call, way, target)
        try:
            reply = await proceed(there)
        except GatewayError as error:
            _tell_publicly(error, call.model, target)
            raise
        if call.sequence is not None and call.sequence.end:
            self._sequences.forget(way.route, call.sequence.id)
        if target.model != call.model:
            reply = _renamed(call, reply, target.model)
        return Reply(reply.status, reply.metadata, reply.body, reply.message, target.label)

    async def stream(self, call: Call, client: ClientStream, proceed: NextStream) -> Reply:
        """The same for a stream, in which every message names the model.

        Raises:
            InvalidRequest: the route has no target of the version that is asked for.
        """
        way = self._way(call)
        if self._only_public and self._hidden(call, way):
            return unknown_model.reply(call) if call.protocol is _HTTP else await _refused(call.model, client)
        if way is None:
            return await proceed(call, client)
        target = self._target(call, way)
        there = retargeted(call, way, target)
        try:
            reply = await self._streamed(call, there, client, proceed)
        except GatewayError as error:
            _tell_publicly(error, call.model, target)
            raise
        return Reply(reply.status, reply.metadata, reply.body, reply.message, target.label)

    async def _streamed(self, call: Call, there: Call, client: ClientStream, proceed: NextStream) -> Reply:
        if call.protocol is _HTTP and there.model != call.model:
            events = ChangedEvents(client, rename_http.Events(there.model, call.model))
            reply = await proceed(there, events)
            await events.finish()
        else:
            if call.protocol is not _HTTP and (there.model != call.model or there.version != call.version):
                client = _Messages(client, call.model, there)
            reply = await proceed(there, client)
        ended_well = reply.status in _ENDED_WELL  # such a reply names nobody
        return reply if ended_well or there.model == call.model else _renamed(call, reply, there.model)

    def _way(self, call: Call) -> Way | None:
        if call.operation is not _INFER and call.operation not in _ROUTED:
            return None
        return self._find(call)

    def _hidden(self, call: Call, way: Way | None) -> bool:
        """Whether `call` takes no route, nor an alias of a model that has none: an alias opens no way past routes."""
        if way is not None:
            return not way.route and self._is_routed(way.split.heaviest.model)
        return bool(call.model) and (call.operation is _INFER or call.operation in _ROUTED)

    def _target(self, call: Call, way: Way) -> Target:
        if call.operation is not _INFER and call.operation not in _BY_WEIGHT:
            return way.split.heaviest
        if call.sequence is not None and len(way.targets) > 1:
            return self._home(call.sequence.id, call.sequence.start, way)
        return way.choose(call, self._random)

    def _home(self, sequence: str, start: bool, way: Way) -> Target:
        """The target of a sequence: the one that it began with, else by the hash of its id."""
        now = self._now()
        label = None if start else self._sequences.find(way.route, sequence, now)
        target = way.targets.get(label) if label is not None else None
        if target is None:
            target = way.keyed(sequence)
            self._sequences.remember(way.route, sequence, target.label, now)
        return target


def retargeted(call: Call, way: Way, target: Target) -> Call:
    """`call` as `target` is to get it; the tensors stay as they are."""
    model = target.model
    version = target.version or way.version
    body, head_len, metadata = call.body, call.head_len, call.metadata
    if call.protocol is _HTTP:
        if model != call.model:  # a compressed answer could not be renamed
            metadata = oip_http.not_packed(metadata)
    elif body and (model != call.model or version != call.version):
        body = rename_grpc.request(body, model, version)
        head_len = len(body)
    # `replace` takes three times as long.
    return Call(
        call.protocol,
        call.operation,
        call.line,
        model,
        version,
        call.request_id,
        metadata,
        body,
        head_len,
        call.deadline,
        call.sequence,
        call.principal,
        target.upstreams or call.target,
        call.peer,
        call.prefix,
        way.route,
        target.label,
        call.retry,
        call.added,
    )


async def _refused(model: str, client: ClientStream) -> Reply:
    """Answer every message of a gRPC stream as Triton does for a model that it does not have: the stream goes on."""
    while (message := await client.receive()) is not None:
        await client.send(oip_grpc.stream_error(unknown_model.words(model), oip_stream.request_id(message)))
    return Reply(status.OK)


class _Messages:
    """The client's end of a gRPC stream: what it says names the real model, and what it hears the public one."""

    def __init__(self, client: ClientStream, model: str, there: Call) -> None:
        self._client = client
        self._model = model
        self._real, self._version = there.model, there.version

    async def receive(self) -> Body | None:
        """The client's next message."""
        message = await self._client.receive()
        return None if message is None else rename_grpc.request(message, self._real, self._version)

    async def start(self, metadata: Metadata) -> None:
        """Say that the stream is on."""
        await self._client.start(metadata)

    async def send(self, message: Body) -> None:
        """Give the client one message."""
        if self._real != self._model:
            message = rename_grpc.stream_reply(message, self._model, self._real)
        await self._client.send(message)


def _renamed(call: Call, reply: Reply, real: str) -> Reply:
    """Triton's answer about `real`, in the name of the model that was called."""
    if call.protocol is _HTTP:
        return rename_http.reply_for(call.operation, reply, real, call.model)
    if reply.status:
        said = rename_grpc.words(reply.message, real, call.model)
        return Reply(reply.status, reply.metadata, reply.body, said, reply.variant)
    body = rename_grpc.reply_for(call.operation, reply.body, call.model)
    return Reply(0, reply.metadata, body, reply.message, reply.variant)


def _tell_publicly(error: GatewayError, model: str, target: Target) -> None:
    """Have `error` name who it happened at, and the model as the client knows it."""
    error.variant = target.label
    if target.model != model and error.args:
        named = rf"(\bmodel '?){re.escape(target.model)}(?![\w.-])"
        error.args = (re.sub(named, lambda found: found[1] + model, str(error.args[0])), *error.args[1:])
