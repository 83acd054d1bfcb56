"""Calls that concern all Tritons: what is asked of all of them, and what their answers mean together; pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import Enum

from msgspec.structs import replace

from gateway.core.call import Call, Operation, Protocol, Reply
from gateway.core.errors import GatewayError, UpstreamError, UpstreamUnavailable
from gateway.upstreams.merge import merge
from gateway.wire.oip_grpc import LIVE
from gateway.wire.oip_http import not_packed


class Reach(Enum):
    """Whom a call concerns."""

    ONE = "any one"
    CHANGE = "all, which are changed alike"
    MERGE = "all, whose answers are put together"
    READY = "any that is ready"


Answer = tuple[str, Reply | GatewayError]
"""What one endpoint is called towards clients, and what it said."""

_REACH = {
    Operation.LOAD_MODEL: Reach.CHANGE,
    Operation.UNLOAD_MODEL: Reach.CHANGE,
    Operation.REPOSITORY_INDEX: Reach.MERGE,
    Operation.MODEL_STATISTICS: Reach.MERGE,
    Operation.SERVER_READY: Reach.READY,
}
_SETTINGS = frozenset({Operation.TRACE_SETTING, Operation.LOG_SETTING})
_SHARED_MEMORY = frozenset({Operation.SYSTEM_SHARED_MEMORY, Operation.CUDA_SHARED_MEMORY})


def reach(call: Call) -> Reach:
    """Whom `call` concerns, by what it does."""
    if call.operation in _SETTINGS:
        # gRPC has one method to read and to change; one that names a model alone only reads, which does no harm.
        changes = bool(call.body) if call.protocol is Protocol.GRPC else call.line.startswith(b"POST")
    elif call.operation in _SHARED_MEMORY:
        is_status = call.line.endswith(b"Status") if call.protocol is Protocol.GRPC else call.line.startswith(b"GET")
        changes = not is_status
    else:
        return _REACH.get(call.operation, Reach.ONE)
    return Reach.CHANGE if changes else Reach.ONE


def plain(call: Call) -> Call:
    """`call` without leave to compress the answer, so that it can be read here."""
    kept, added = not_packed(call.metadata), not_packed(call.added)
    if kept is call.metadata and added is call.added:
        return call
    return replace(call, metadata=kept, added=added)


def is_ok(call: Call, answer: Reply | GatewayError) -> bool:
    """Whether `answer` grants what was asked."""
    if not isinstance(answer, Reply):
        return False
    return answer.status == (0 if call.protocol is Protocol.GRPC else 200)


def is_ready(call: Call, answer: Reply | GatewayError) -> bool:
    """Whether `answer` to SERVER_READY says yes."""
    if not isinstance(answer, Reply) or not is_ok(call, answer):
        return False
    return call.protocol is Protocol.HTTP or answer.body == LIVE


def decide(call: Call, how: Reach, answers: Sequence[Answer]) -> Reply:
    """One reply for the answers of several endpoints to `call`; there is at least one.

    Raises:
        GatewayError: the first one, where an endpoint failed that mattered.
    """
    if how is Reach.READY:
        return _reply(next((a for _, a in answers if is_ready(call, a)), answers[0][1]))
    good = [answer for _, answer in answers if isinstance(answer, Reply) and is_ok(call, answer)]
    # Whoever cannot be reached is left out of either: it starts anew anyway when it comes back.
    bad = [pair for pair in answers if not is_ok(call, pair[1]) and not isinstance(pair[1], UpstreamUnavailable)]
    if how is Reach.CHANGE and bad:
        return _reply(_named(call, *bad[0]) if len(answers) > 1 else bad[0][1])
    if not good:
        return _reply(bad[0][1] if bad else answers[0][1])
    if how is Reach.MERGE and len(good) > 1:
        return replace(good[0], body=_merged(call, good))
    return good[0]


def _merged(call: Call, replies: list[Reply]) -> bytes:
    try:
        return merge(call.protocol, call.operation, [reply.body for reply in replies])
    except ValueError:
        raise UpstreamError(
            f"the answers of several Tritons to {call.operation.value} cannot be put together; ask one of them"
        ) from None


def _named(call: Call, name: str, answer: Reply | GatewayError) -> Reply | GatewayError:
    """`answer`, an error, with the name of who said it."""
    if not isinstance(answer, Reply):
        return type(answer)(f"{name}: {answer.message}")
    if call.protocol is Protocol.GRPC:
        return replace(answer, message=f"{name}: {answer.message}")
    try:
        said = json.loads(answer.body)["error"]
    except (ValueError, TypeError, KeyError):
        return answer
    body = json.dumps({"error": f"{name}: {said}"}, separators=(",", ":")).encode()
    return replace(answer, body=body)


def _reply(answer: Reply | GatewayError) -> Reply:
    if isinstance(answer, Reply):
        return answer
    raise answer
