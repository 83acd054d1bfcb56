"""Send copies of requests to other models, beside the requests themselves: clients never wait for one.

The innermost policy: what was refused before is not copied, and copies go to the pool by themselves, so that nothing
else counts, records or changes them.
"""

from __future__ import annotations

import logging
import random as _random
import time
from collections.abc import Callable
from typing import cast

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.call import Body, Call, ClientStream, Metadata, Operation, Protocol, Reply
from gateway.core.deadline import Deadline
from gateway.core.errors import DeadlineExceeded, GatewayError, Overloaded, ShuttingDown
from gateway.core.policy import Next, NextStream
from gateway.policies.mirroring import Lane, Mirroring
from gateway.tap.base import Tap
from gateway.tap.exchange import Answer, Exchange
from gateway.traffic.matching import tenant_of
from gateway.traffic.measures import Measures
from gateway.traffic.mirrors import Mirrors, Shadow
from gateway.wire import rename_grpc
from gateway.wire.oip_http import HEAD_LENGTH, not_packed

_log = logging.getLogger("gateway.mirror")

# Looking up a member of an Enum costs as much as the rest of a decision.
_INFER, _GENERATE = Operation.INFER, Operation.GENERATE
_GRPC = Protocol.GRPC


class _Original(Struct, frozen=True, gc=False):
    """A request that was answered, as far as its copy needs to know.

    Attributes:
        call: the request.
        answer: what it was answered; None where nobody compares.
        started: when, in seconds on the monotonic clock.
        seconds: until the answer was there.
        size: bytes that are held for the copy.
    """

    call: Call
    answer: Reply | None
    started: float
    seconds: float
    size: int


class Mirror:
    """Copies a share of the inferences that Triton answered, be it with an error of its own.

    Left out are streams, and sequences: a copy of part of a sequence means nothing. A copy is dropped, never queued,
    where the clients' own requests are many ("busy"), where the shadow has enough under way ("full"), and where it has
    not answered for a while ("broken").

    Args:
        mirrors: who gets copies of what.
        state: what is under way; it outlives this policy.
        measures: counts what came of the copies.
        tap: gets both answers, where they are to be compared.
        random: where chance comes from: at least 0, below 1.
    """

    def __init__(
        self,
        mirrors: Mirrors,
        state: Mirroring,
        measures: Measures,
        tap: Tap,
        *,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self._routes = state.lanes(mirrors)
        self._tenant_header = mirrors.tenant_header
        self._state = state
        self._measures = measures
        self._dropped = measures.mirror_dropped
        self._tap = tap
        self._random = random

    async def __call__(self, call: Call, proceed: Next) -> Reply:
        """Go on, and start the copies once the answer is there."""
        state = self._state
        state.clients += 1
        try:
            variants = self._routes.get(call.route)
            if variants is None:
                return await proceed(call)
            started = time.monotonic()
            reply = await proceed(call)
        finally:
            state.clients -= 1
        if call.operation is not _INFER and call.operation is not _GENERATE:
            return reply
        lanes = variants.get(call.variant)
        if lanes and call.sequence is None:
            self._copy_to(lanes, call, reply, started, proceed)
        return reply

    async def stream(self, call: Call, client: ClientStream, proceed: NextStream) -> Reply:
        """Streams are not copied."""
        return await proceed(call, client)

    def _copy_to(self, lanes: tuple[Lane, ...], call: Call, reply: Reply, started: float, proceed: Next) -> None:
        """Start a copy for each shadow that gets one. This is the client's time; the rest is done in the copy's own."""
        now, clients, size = time.monotonic(), self._state.clients, len(call.body)
        for lane in lanes:
            if lane.share < 1 and self._random() >= lane.share:
                continue
            held = size + len(reply.body) if lane.compares else size
            why = lane.refusal(clients, held, now)
            if why is not None:
                self._dropped(lane.shadow.route, lane.shadow.name, why)
                continue
            original = _Original(call, reply if lane.compares else None, started, now - started, held)
            self._state.start(self._copy(lane, original, proceed))

    async def _copy(self, lane: Lane, original: _Original, proceed: Next) -> None:
        """Have a copy answered, and say what came of it."""
        shadow, measures = lane.shadow, self._measures
        started = time.monotonic()
        due = min(original.call.deadline.at, started + shadow.seconds)
        known = False
        try:
            reply = await proceed(_addressed(original.call, shadow, due))
            seconds = time.monotonic() - started
            known = True
            lane.answered()
            measures.mirrored(shadow.route, shadow.name, _is_ok(original.call, reply), seconds)
            if original.answer is not None:
                tenant = tenant_of(original.call, self._tenant_header)
                answers = (_first(original, original.answer), _second(shadow, reply, seconds))
                self._tap.offer(_exchange(original, shadow, tenant, answers))
        except DeadlineExceeded as error:
            measures.mirror_timed_out(shadow.route, shadow.name)
            if due < original.call.deadline.at:  # else it had less time than it may take
                known = True
                lane.silent(error.message, time.monotonic())
        except (Overloaded, ShuttingDown):
            measures.mirror_dropped(shadow.route, shadow.name, "full")
        except GatewayError as error:
            known = True
            lane.silent(error.message, time.monotonic())
            measures.mirrored(shadow.route, shadow.name, False, time.monotonic() - started)
        except Exception:
            known = True  # so that a mistake of ours is not repeated, and logged, for every request
            lane.silent("internal error", time.monotonic())
            measures.mirrored(shadow.route, shadow.name, False, time.monotonic() - started)
            _log.exception("a copy for mirror %s of route %s failed inside the gateway", shadow.name, shadow.route)
        finally:
            lane.leave(original.size, known)


def _addressed(call: Call, shadow: Shadow, due: float) -> Call:
    """`call`, as the shadow is to get it: an answer that can be read, no second try, a deadline of its own."""
    body = call.body
    if call.protocol is _GRPC and (call.model != shadow.model or call.version != shadow.version):
        body = rename_grpc.request(body, shadow.model, shadow.version)
    return replace(
        call,
        model=shadow.model,
        version=shadow.version,
        target=shadow.target,
        metadata=not_packed(call.metadata),
        added=not_packed(call.added),
        body=body,
        deadline=Deadline(due),
        route="",
        variant="",
        retry=False,
    )


def _is_ok(call: Call, reply: Reply) -> bool:
    return reply.status == 0 if call.protocol is _GRPC else reply.status < 400


def _exchange(original: _Original, shadow: Shadow, tenant: str, answers: tuple[Answer, Answer]) -> Exchange:
    call = original.call
    return Exchange(
        purpose="compare",
        route=shadow.route,
        mirror=shadow.name,
        epoch=shadow.epoch,
        protocol="grpc" if call.protocol is _GRPC else "http",
        model=shadow.public,
        version=call.version,
        request_id=call.request_id,
        tenant=tenant,
        arrived=time.time_ns() - round((time.monotonic() - original.started) * 1e9),
        request=_as_bytes(call.body),
        header_length=_header_length(call.metadata),
        answers=answers,
    )


def _first(original: _Original, reply: Reply) -> Answer:
    """What the client was answered."""
    call = original.call
    return _answer((call.variant, call.model, call.version), reply, original.seconds)


def _second(shadow: Shadow, reply: Reply, seconds: float) -> Answer:
    """What the shadow answered."""
    return _answer((shadow.name, shadow.model, shadow.version), reply, seconds)


def _answer(asked: tuple[str, str, str], reply: Reply, seconds: float) -> Answer:
    """An answer of the one that was `asked`: target, model, version."""
    encoding = next((value.decode("latin-1") for name, value in reply.metadata if name == b"content-encoding"), "")
    length = _header_length(reply.metadata)
    return Answer(*asked, reply.status, _as_bytes(reply.body), length, encoding, reply.message, seconds)


def _as_bytes(body: Body) -> bytes:
    """`body` as it is: it is only ever read, and to copy what was received in place would take the clients' time."""
    return cast(bytes, body)


def _header_length(metadata: Metadata) -> int | None:
    """Bytes of a body that are its JSON head; None where no header says so."""
    return next((int(value) for name, value in metadata if name == HEAD_LENGTH and value.isdigit()), None)
