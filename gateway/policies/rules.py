"""What holds for the requests of one route: who may call, how much, for how long, and what is said on the way.

Everything is compiled once, and a request of a route without rules pays for one look into a dictionary.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass

from msgspec.structs import replace

from gateway.core.call import Call, ClientStream, Metadata, Operation, Protocol, Reply
from gateway.core.deadline import Deadline
from gateway.core.errors import ClientGone, GatewayError
from gateway.core.policy import Next, NextStream
from gateway.policies.access import Access
from gateway.policies.changed_events import ChangedEvents
from gateway.policies.rule_streams import Headed, Sized, Timed, too_large
from gateway.traffic.sections import HeadersSection, OutputsSection, PoliciesSection, RouteSection, TrafficSection
from gateway.wire import status
from gateway.wire.oip_http import not_packed
from gateway.wire.outputs import Outputs

_HTTP = Protocol.HTTP
_WITH_OUTPUTS = frozenset({Operation.INFER, Operation.GENERATE, Operation.GENERATE_STREAM})
_STREAM_INFER = Operation.STREAM_INFER
_ENDS_ON_ERROR = (b"triton_grpc_error", b"true")


class Rules:
    """The sections `policies` of all routes.

    Args:
        section: the routes, and what clients are told apart by.

    Attributes:
        empty: whether no route has any rules, so that the chain need not have this policy.
    """

    def __init__(self, section: TrafficSection) -> None:
        self._rules = {route.label: _compiled(route, section) for route in section.routes if _says(route.policies)}
        self.empty = not self._rules

    async def __call__(self, call: Call, proceed: Next) -> Reply:
        """Go on as the rules of the call's route say, and answer as they say.

        Raises:
            Forbidden: the client may not call.
            RequestTooLarge: the request is larger than the route takes.
        """
        rule = self._rules.get(call.route)
        if rule is None:
            return await proceed(call)
        if rule.reply_headers is None:
            return await _asked(rule, call, proceed)
        return await _headed(rule.reply_headers, call, _asked(rule, call, proceed))

    async def stream(self, call: Call, client: ClientStream, proceed: NextStream) -> Reply:
        """The same for a stream, and for each of its messages.

        A gRPC stream's headers and trailers belong to all models that are called on it, so no route changes them.

        Raises:
            Forbidden: the client may not call.
            RequestTooLarge: the request, or a message of a client that wants to hear of errors so, is too large.
        """
        rule = self._rules.get(call.route)
        if rule is None:
            return await proceed(call, client)
        headers = rule.reply_headers
        if headers is None or call.protocol is not _HTTP:
            return await _streamed(rule, call, client, proceed)
        client = Headed(client, headers.added, headers.gone)
        return await _headed(headers, call, _streamed(rule, call, client, proceed))


async def _asked(rule: _Rule, call: Call, proceed: Next) -> Reply:
    rule.check(call)
    reply = await proceed(rule.asked(call))
    if rule.outputs is not None and rule.rewrites(call):
        reply = rule.outputs.apply(reply)
    return reply


async def _streamed(rule: _Rule, call: Call, client: ClientStream, proceed: NextStream) -> Reply:
    rule.check(call)
    if call.operation is _STREAM_INFER:
        if rule.most_bytes is not None:
            client = Sized(client, rule.most_bytes, ends_on_error=_ENDS_ON_ERROR in call.metadata)
        if rule.seconds is not None:
            client = Timed(client, rule.seconds)
    if rule.outputs is None or not rule.rewrites(call):
        return await proceed(rule.asked(call), client)
    events = ChangedEvents(client, rule.outputs.events())
    reply = await proceed(rule.asked(call), events)
    await events.finish()
    return reply


async def _headed(headers: Headers, call: Call, answer: Awaitable[Reply]) -> Reply:
    """The answer, or the error that is the answer, with the headers that the client gets."""
    try:
        reply = await answer
    except ClientGone:
        raise
    except GatewayError as error:
        reply = status.http_reply(error) if call.protocol is _HTTP else status.grpc_reply(error)
    return replace(reply, metadata=headers.changed(reply.metadata))


class Headers:
    """How one side's headers are changed.

    Args:
        section: the names and values.

    Attributes:
        added: those that are set.
        gone: names of those that are not passed on as they came.
    """

    __slots__ = ("added", "gone")

    def __init__(self, section: HeadersSection) -> None:
        self.added: Metadata = tuple([(name.lower().encode(), value.encode()) for name, value in section.set.items()])
        self.gone = frozenset([*(name for name, _ in self.added), *(name.lower().encode() for name in section.remove)])

    def changed(self, metadata: Metadata) -> Metadata:
        """`metadata` as it is to be."""
        return (*[pair for pair in metadata if pair[0] not in self.gone], *self.added)


@dataclass(frozen=True, slots=True)
class _Rule:
    """One route's section `policies`; None is what says nothing.

    Attributes:
        access: who may call.
        most_bytes: of a request, or of one message of a stream.
        seconds: that a request may take.
        retry: whether another upstream may be asked.
        request_headers: changes of what Triton is told.
        reply_headers: changes of what the client is told.
        outputs: changes of HTTP replies' outputs.
    """

    access: Access | None
    most_bytes: int | None
    seconds: float | None
    retry: bool
    request_headers: Headers | None
    reply_headers: Headers | None
    outputs: Outputs | None

    def check(self, call: Call) -> None:
        """Let `call` pass.

        Raises:
            Forbidden: its client may not call.
            RequestTooLarge: it is larger than it may be.
        """
        if self.access is not None:
            self.access.check(call)
        if self.most_bytes is not None and len(call.body) > self.most_bytes:
            raise too_large(len(call.body), self.most_bytes)

    def asked(self, call: Call) -> Call:
        """`call` as it goes on."""
        deadline, metadata, added = call.deadline, call.metadata, call.added
        if self.seconds is not None and call.operation is not _STREAM_INFER:  # `Timed` watches each of its requests
            deadline = min(deadline, Deadline.after(self.seconds))
        if self.request_headers is not None:
            metadata = self.request_headers.changed(metadata)
            added += self.request_headers.added
        if self.rewrites(call):
            metadata, added = not_packed(metadata), not_packed(added)
        return replace(call, deadline=deadline, metadata=metadata, added=added, retry=call.retry and self.retry)

    def rewrites(self, call: Call) -> bool:
        """Whether the outputs in the answer to `call` are changed."""
        return self.outputs is not None and call.protocol is _HTTP and call.operation in _WITH_OUTPUTS


def _says(section: PoliciesSection) -> bool:
    """Whether there is anything to do; CORS is the front end's business."""
    return section.model_copy(update={"cors": None}) != PoliciesSection()


def _compiled(route: RouteSection, traffic: TrafficSection) -> _Rule:
    section = route.policies
    guarded = section.allow is not None or section.deny is not None
    return _Rule(
        access=Access(route.label, section.allow, section.deny, traffic) if guarded else None,
        most_bytes=section.max_body_bytes,
        seconds=section.timeout_seconds,
        retry=section.retry,
        request_headers=_headers(section.request_headers),
        reply_headers=_headers(section.reply_headers),
        outputs=_outputs(section.outputs),
    )


def _headers(section: HeadersSection) -> Headers | None:
    return Headers(section) if section.set or section.remove else None


def _outputs(section: OutputsSection) -> Outputs | None:
    if section == OutputsSection():
        return None
    return Outputs(section.rename, frozenset(section.drop), section.digits)
