"""Part "proxies": what one request costs in each proxy, in front of a null upstream and of the embedded Triton."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks import lineup, load, tools, triton
from benchmarks.client import ask, ask_until_answered
from benchmarks.context import Context
from benchmarks.engines.null import NullUpstream
from benchmarks.lineup import Lineup, Runner
from benchmarks.load import Amount, Load, LoadError, Target
from benchmarks.payloads import GRPC_PATH, Kind, Message, identity_reply, identity_request
from benchmarks.proc import cpu_seconds, watch_memory
from benchmarks.service import Service

HTTP_PATH = "/v2/models/identity/infer"
SIZES = {"100 B": 100, "4 KB": 4_000, "600 KB": 600_000, "16 MB": 16_000_000}
CONCURRENCIES = (1, 16, 128)
# nginx takes a client whose answers need more than 10,000 HTTP/2 frames at a time for an attack, so the null upstream
# answers 16 MB with less.
_NULL_GRPC_BYTES = 600_000
# JSON is for small tensors: nobody sends 16 MB of numbers as text. A binary head alone is larger than 100 B.
_SIZES_OF: dict[Kind, tuple[str, ...]] = {
    "json": ("100 B", "4 KB", "600 KB"),
    "binary": ("4 KB", "600 KB", "16 MB"),
    "grpc": tuple(SIZES),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One point of the comparison: the same load on everybody.

    Attributes:
        kind: how requests are encoded.
        size: the payload's name, a key of `SIZES`.
        concurrency: requests in flight at a time.
    """

    kind: Kind
    size: str
    concurrency: int


@dataclass(frozen=True, slots=True)
class Round:
    """One measurement of one proxy.

    Attributes:
        requests: that were answered.
        per_second: throughput.
        p50_ms, p90_ms, p99_ms: latency.
        cpu_us: CPU time of the proxy's processes per answered request; None for "direct".
        peak_rss, peak_pss: of the proxy's processes together, in bytes.
        failure: why this does not count; empty if it does.
    """

    requests: int
    per_second: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    cpu_us: float | None
    peak_rss: int
    peak_pss: int
    failure: str = ""


def cells(*, quick: bool) -> list[Cell]:
    """What is measured."""
    if quick:
        points: list[tuple[Kind, str]] = [("json", "100 B"), ("binary", "600 KB"), ("grpc", "100 B")]
        return [Cell(kind, size, 16) for kind, size in points]
    return [Cell(kind, size, c) for kind, sizes in _SIZES_OF.items() for size in sizes for c in CONCURRENCIES]


def run(context: Context) -> dict[str, Any]:
    """Measure every cell in front of both upstreams."""
    results: list[dict[str, Any]] = []
    missing: dict[str, str] = {}
    for name in ("null",) if context.quick else ("null", "triton"):
        if not _wanted(context, name):
            continue
        with ExitStack() as stack:
            try:
                upstream = _Upstream.start(name, context, stack)
            except tools.ToolError as error:
                missing[f"upstream {name}"] = str(error)
                context.progress.note(f"upstream {name} is left out: {error}")
                continue
            folder = context.scratch / f"behind-{name}"
            group = lineup.start(context, upstream.service, folder, stack)
            missing |= group.missing
            results += _measure_all(context, upstream, group)
    return {"cells": results, "missing": missing}


def _wanted(context: Context, upstream: str) -> list[Cell]:
    every = cells(quick=context.quick)
    return [c for c in every if context.cells.search(f"{upstream} {c.kind} {c.size} x{c.concurrency}")]


class _Upstream:
    """What everybody sends requests to."""

    def __init__(self, name: str, service: Service, null: NullUpstream | None) -> None:
        self.name, self.service, self._null = name, service, null

    @classmethod
    def start(cls, name: str, context: Context, stack: ExitStack) -> _Upstream:
        folder = context.scratch / name
        if name == "null":
            null = NullUpstream(tools.nginx(), folder, context.cores.on_load)
            stack.enter_context(null.service)
            return cls(name, null.service, null)
        triton.write_identity(folder / "repository")
        service = triton.start(folder / "repository", ["identity"], folder, context.cores.on_load)
        return cls(name, stack.enter_context(service), None)

    def prepare(self, cell: Cell) -> None:
        """Answer requests of this size with replies of this size."""
        if self._null is not None:
            size = SIZES[cell.size]
            self._null.answer_with(
                identity_reply(cell.kind, min(size, _NULL_GRPC_BYTES) if cell.kind == "grpc" else size)
            )


def _measure_all(context: Context, upstream: _Upstream, group: Lineup) -> list[dict[str, Any]]:
    wanted = _wanted(context, upstream.name)
    total = sum(len(group.serving(cell.kind)) for cell in wanted) * context.rounds
    context.progress.begin(f"Proxies in front of {upstream.name}", total)
    found = []
    for cell in wanted:
        upstream.prepare(cell)
        rounds = measure_cell(context, cell, group.serving(cell.kind))
        for name, measured in rounds.items():
            row = {"upstream": upstream.name, "engine": name, **asdict(cell)}
            found.append({**row, "rounds": [asdict(r) for r in measured]})
    return found


def measure_cell(context: Context, cell: Cell, runners: Sequence[Runner]) -> dict[str, list[Round]]:
    """Measure everybody in turn, several rounds, each round in another order."""
    message = identity_request(cell.kind, SIZES[cell.size])
    path = GRPC_PATH if cell.kind == "grpc" else HTTP_PATH
    expected = ask_until_answered(Target(runners[0].address(cell.kind), path), message)
    found: dict[str, list[Round]] = {runner.name: [] for runner in runners}
    for number in range(context.rounds):
        turn = number % len(runners)
        for runner in (*runners[turn:], *runners[:turn]):
            target = Target(runner.address(cell.kind), path)
            measured = _measure(context, cell, runner, target, message, expected)
            found[runner.name].append(measured)
            context.progress.step(f"{cell.kind} {cell.size} x{cell.concurrency}  {runner.name:9s} {_told(measured)}")
    return found


def _measure(  # noqa: PLR0913, PLR0917 - each is a thing of its own
    context: Context, cell: Cell, runner: Runner, target: Target, message: Message, expected: bytes
) -> Round:
    """One round: is the answer right, then load, then is it still right."""
    # Whole seconds for one answer: a number of requests, not a time, or what is in flight at the end would weigh.
    requests = max(24, cell.concurrency) if cell.size == "16 MB" else 0
    amount = Amount(cell.concurrency, context.seconds, requests)
    folder = context.scratch / "load"
    try:
        check(ask_until_answered(target, message, 10), expected)
        if runner.pid == 0:
            seen = load.run(target, message, amount, folder, context.cores.on_load)
            return _round(seen, expected, None, 0, 0)
        before = cpu_seconds(runner.pid)
        with watch_memory(runner.pid, 0.25) as watched:
            seen = load.run(target, message, amount, folder, context.cores.on_load)
        spent = cpu_seconds(runner.pid) - before
        check(ask(target, message), expected)
    except LoadError as error:
        return Round(0, 0, 0, 0, 0, None, 0, 0, str(error))
    return _round(seen, expected, spent, watched.peak.rss, watched.peak.pss)


def check(answer: bytes, expected: bytes) -> None:
    """Raises LoadError where a proxy's answer is not its upstream's."""
    if answer != expected:
        raise LoadError(f"answered {len(answer)} bytes {answer[:80]!r} instead of {len(expected)} {expected[:80]!r}")


def _round(seen: Load, expected: bytes, cpu: float | None, rss: int, pss: int) -> Round:
    return Round(
        requests=seen.requests,
        per_second=round(seen.requests / seen.seconds, 1) if seen.seconds else 0.0,
        p50_ms=round(seen.p50_ms, 3),
        p90_ms=round(seen.p90_ms, 3),
        p99_ms=round(seen.p99_ms, 3),
        cpu_us=round(cpu / seen.requests * 1e6, 1) if cpu is not None and seen.requests else None,
        peak_rss=rss,
        peak_pss=pss,
        failure=failure(seen, len(expected)),
    )


def failure(seen: Load, reply_bytes: int) -> str:
    """Why a measurement does not count, if so: errors, no answer, or too few bytes for that many whole answers."""
    if seen.errors:
        return f"{seen.errors} of {seen.requests + seen.errors} requests failed"
    if not seen.requests:
        return "no request was answered in time"
    if seen.bytes_read < seen.requests * reply_bytes:
        return f"{seen.requests} answers of {reply_bytes} bytes cannot be {seen.bytes_read} bytes"
    return ""


def _told(measured: Round) -> str:
    if measured.failure:
        return f"FAILED: {measured.failure}"
    cpu = f"{measured.cpu_us:8.1f} us CPU, " if measured.cpu_us is not None else ""
    return f"{cpu}{measured.per_second:9.1f}/s, p50 {measured.p50_ms:.2f} ms, p99 {measured.p99_ms:.2f} ms"
