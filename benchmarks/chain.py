"""Part "chain": what the whole list of policies adds to a call, in CPU time, without sockets around it."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Coroutine, Sequence
from typing import Any

import uvloop

from benchmarks.context import Context
from benchmarks.payloads import GRPC_PATH, identity_request
from benchmarks.proxies import HTTP_PATH
from gateway.app import Lasting, policies
from gateway.config import Config
from gateway.core.call import Call, ClientStream, Operation, Protocol, Reply
from gateway.core.deadline import Deadline
from gateway.core.policy import Next, Policy, fold
from gateway.tap.base import ClosedTap
from gateway.traffic.sequences import Sequences
from gateway.traffic.snapshot import Snapshot

_CALLS = 20_000


class _Answers:
    """An upstream that answers at once."""

    _REPLY = Reply(200, ((b"content-type", b"application/json"),), b"{}")

    async def infer(self, call: Call) -> Reply:  # noqa: ARG002 - the answer is always the same
        return self._REPLY

    async def stream(self, call: Call, client: ClientStream) -> Reply:  # noqa: ARG002 - the same
        return self._REPLY


def run(context: Context) -> dict[str, Any]:
    """Calls through no policy, through each alone, and through the chain as it is configured by default, in turn."""
    chain = policies(Config(), Snapshot(), Lasting(ClosedTap(), Sequences(idle_seconds=600)))
    ways: dict[str, Sequence[Policy]] = {"none": ()}
    ways |= {type(policy).__name__.lower(): (policy,) for policy in chain}
    ways["the whole chain"] = chain
    rows = []
    calls = {"HTTP": _call(Protocol.HTTP), "gRPC": _call(Protocol.GRPC)}
    context.progress.begin("Chain of policies", len(calls) * len(ways))
    for protocol, call in calls.items():
        found: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(max(5, context.rounds)):
            for name, some in ways.items():
                found[name].append(_microseconds(fold(some, _Answers()).infer, call))
        for name, values in found.items():
            added = statistics.median(values) - statistics.median(found["none"])
            rows.append({"protocol": protocol, "policies": name, "us": values, "added_us": round(added, 2)})
            context.progress.step(f"{protocol}  {name:16s} adds {added:.2f} us CPU a call")
    return {"rows": rows, "missing": {}}


def _call(protocol: Protocol) -> Call:
    message = identity_request("json" if protocol is Protocol.HTTP else "grpc", 100)
    path = HTTP_PATH if protocol is Protocol.HTTP else GRPC_PATH
    return Call(
        protocol=protocol,
        operation=Operation.INFER,
        line=f"POST {path}".encode() if protocol is Protocol.HTTP else path.encode(),
        model="identity",
        version="",
        request_id="0123456789abcdef",
        metadata=((b"content-type", b"application/json"),),
        body=message.body,
        head_len=len(message.body),
        deadline=Deadline.after(3600),
    )


def _microseconds(infer: Next, call: Call) -> float:
    """CPU time of one call, from many."""

    async def many() -> float:
        for _ in range(_CALLS // 10):
            await infer(call)
        started = time.process_time()
        for _ in range(_CALLS):
            await infer(call)
        return (time.process_time() - started) / _CALLS * 1e6

    return _on_uvloop(many())


def _on_uvloop(work: Coroutine[Any, Any, float]) -> float:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
