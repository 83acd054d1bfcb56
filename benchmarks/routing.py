"""What a route adds to a call, in CPU time, with one route and with thousands: `python -m benchmarks.routing`."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

import uvloop
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table as Printed

from benchmarks.payloads import GRPC_PATH, Kind, identity_reply, identity_request
from gateway.config import Config
from gateway.core.call import Call, ClientStream, Operation, Protocol, Reply
from gateway.core.deadline import Deadline
from gateway.core.policy import Next, Policy, fold
from gateway.policies.load_by_grpc import LoadByGrpc
from gateway.policies.measure import Measure
from gateway.policies.observe import Observe
from gateway.policies.restrict import Restrict
from gateway.policies.route import Route
from gateway.traffic.measures import Measures
from gateway.traffic.sections import RouteSection, TargetSection, TrafficSection, WhenSection
from gateway.traffic.sequences import Sequences
from gateway.traffic.snapshot import Override, Snapshot
from gateway.traffic.table import Table
from gateway.wire import rename_grpc

BODY = 400  # bytes, unless a case says otherwise
MIB = 2**20
_BUSY = 1000  # routes that the calls take turns on, so that no route is in the processor's cache for free
_TARGETS = (TargetSection(model="identity-a", weight=90), TargetSection(model="identity-b", version=2, weight=10))
# As many as a client behind a proxy sends.
_METADATA = (
    (b"host", b"triton.example:8000"),
    (b"user-agent", b"python-client/2.60"),
    (b"accept", b"*/*"),
    (b"content-type", b"application/octet-stream"),
    (b"x-forwarded-for", b"192.0.2.7"),
    (b"x-region", b"eu"),
    (b"x-channel", b"beta"),
    (b"x-user", b"user-4711"),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of call.

    Attributes:
        name: what is special about it.
        models: the names that it calls, in turn.
        body: bytes of its body, and of the answer's.
    """

    name: str
    models: tuple[str, ...]
    body: int = BODY


@dataclass(frozen=True, slots=True)
class Row:
    """What came out for one case.

    Attributes:
        case: its name.
        protocol: by which it came.
        bare: microseconds of CPU time of a call through the chain without routes.
        route: what `Route` adds.
        both: what `Route` and `Measure` add together, in a window.
    """

    case: str
    protocol: str
    bare: float
    route: float
    both: float


class _Answers:
    """An upstream that answers at once, in the name of the target that it was asked for."""

    def __init__(self, kind: Kind, size: int) -> None:
        body = identity_reply(kind, size).body
        self._reply = Reply(0 if kind == "grpc" else 200, body=body)

    async def infer(self, call: Call) -> Reply:  # noqa: ARG002 - the answer is always the same
        return self._reply

    async def stream(self, call: Call, client: ClientStream) -> Reply:  # noqa: ARG002 - the same
        return self._reply


def section(routes: int) -> TrafficSection:
    """A configuration with so many routes, of which the last ones are special."""
    special = (
        RouteSection(model="sticky", targets=_TARGETS, sticky=("header:x-user",)),
        RouteSection(name="when-1", model="when", when=WhenSection(tenants=("blue",))),
        RouteSection(name="when-2", model="when", when=WhenSection(headers={"x-region": "us", "x-channel": "beta"})),
        RouteSection(
            name="when-3",
            model="when",
            when=WhenSection(headers={"x-region": "e?", "x-channel": "beta"}),
            targets=_TARGETS,
        ),
    )
    plain = [RouteSection(model=f"model-{number}", targets=_TARGETS) for number in range(routes)]
    return TrafficSection(routes=(*plain, *special), aliases={"alias": "model-0"}, tenant_header="x-tenant")


def cases(routes: int) -> Iterator[Case]:
    """All kinds of calls under `section(routes)`."""
    busy = tuple(f"model-{number}" for number in range(min(routes, _BUSY)))
    yield Case("no route", ("identity",))
    yield Case("split", busy)
    yield Case("split, 1 MiB", busy, MIB)
    yield Case("sticky by header", ("sticky",))
    yield Case("third of three by headers", ("when",))
    yield Case("alias of a split", ("alias",))


def chains(traffic: TrafficSection) -> Mapping[str, Sequence[Policy]]:
    """The chain without routes, with them, and with what they are measured by."""
    config = Config()
    bare: list[Policy] = [Observe(config.http.access_log), Restrict(config.admin), LoadByGrpc()]
    busy = traffic.routes[:_BUSY]
    snapshot = Snapshot(1, {route.label: Override(route.digest, epoch="1") for route in busy})
    measures = Measures()
    measures.follow(traffic, snapshot)
    route = Route(Table.compile(traffic, snapshot), Sequences(600))
    return {"bare": bare, "route": [*bare, route], "both": [*bare, route, Measure(measures)]}


def measure(routes: int, calls: int, rounds: int) -> list[Row]:
    """Every case by both protocols, the three chains in turn in each round."""
    ways = chains(section(routes))
    rows = []
    for case in cases(routes):
        for protocol in Protocol:
            kind: Kind = "grpc" if protocol is Protocol.GRPC else "binary"
            asked = [_call(kind, model, case.body) for model in case.models]
            upstream = _Answers(kind, case.body)
            found: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(rounds):
                for name, policies in ways.items():
                    found[name].append(_microseconds(fold(policies, upstream).infer, asked, calls))
            bare, route, both = (statistics.median(values) for values in found.values())
            rows.append(Row(case.name, protocol.value, bare, route - bare, both - bare))
    return rows


def _call(kind: Kind, model: str, size: int) -> Call:
    message = identity_request(kind, size)
    path = GRPC_PATH if kind == "grpc" else f"/v2/models/{model}/infer"
    call = Call(
        protocol=Protocol.GRPC if kind == "grpc" else Protocol.HTTP,
        operation=Operation.INFER,
        line=path.encode() if kind == "grpc" else f"POST {path}".encode(),
        model=model,
        version="",
        request_id="0123456789abcdef",
        metadata=_METADATA,
        body=message.body,
        head_len=message.head_len or len(message.body),
        deadline=Deadline.after(3600),
    )
    return replace(call, body=rename_grpc.request(call.body, model, "")) if kind == "grpc" else call


def _microseconds(infer: Next, asked: Sequence[Call], calls: int) -> float:
    """CPU time of one call, from many."""

    async def many(count: int) -> float:
        turn = list(islice(cycle(asked), count))
        started = time.process_time()
        for call in turn:
            await infer(call)
        return (time.process_time() - started) / count * 1e6

    async def warmed_up() -> float:
        await many(max(1, calls // 10))
        return await many(calls)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(warmed_up())


def main(arguments: Sequence[str]) -> int:
    """Measure and print a table for each number of routes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.routing", description=__doc__)
    parser.add_argument("--routes", type=int, nargs="+", default=[1, 1000, 10_000], help="how many there are")
    parser.add_argument("--calls", type=int, default=5000, help="calls of one measurement")
    parser.add_argument("--rounds", type=int, default=5, help="how often each thing is measured")
    options = parser.parse_args(arguments)
    console = Console()
    for routes in options.routes:
        columns = ("call", "protocol", "without, us", "Route adds, us", "with Measure, us")
        table = Printed(*columns, title=f"{routes:,} routes of two targets")
        for row in measure(routes, options.calls, options.rounds):
            table.add_row(row.case, row.protocol, *[f"{value:.2f}" for value in (row.bare, row.route, row.both)])
        console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
