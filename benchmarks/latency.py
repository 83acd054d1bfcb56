"""Part "latency": what a proxy adds to one request at a time, by wrk, h2load and perf_analyzer."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from benchmarks import lineup, load, tools, triton
from benchmarks.client import ask_until_answered
from benchmarks.context import Context
from benchmarks.engines.null import NullUpstream
from benchmarks.lineup import Lineup, Runner
from benchmarks.load import Amount, LoadError, Target
from benchmarks.payloads import GRPC_PATH, Kind, identity_reply, identity_request
from benchmarks.proxies import HTTP_PATH
from benchmarks.service import Service

_BYTES = 100
_WAYS: tuple[tuple[str, Kind], ...] = (
    ("wrk", "json"),
    ("h2load", "grpc"),
    ("perf_analyzer", "json"),
    ("perf_analyzer", "grpc"),
)


def run(context: Context) -> dict[str, Any]:
    """One request at a time on everybody, in turn, in front of the null upstream and of Triton."""
    rows: list[dict[str, Any]] = []
    missing: dict[str, str] = {}
    for name in ("triton",) if context.quick else ("null", "triton"):
        with ExitStack() as stack:
            try:
                upstream = stack.enter_context(_upstream(name, context))
            except tools.ToolError as error:
                missing[f"upstream {name}"] = str(error)
                context.progress.note(f"upstream {name} is left out: {error}")
                continue
            group = lineup.start(context, upstream, context.scratch / f"latency-{name}", stack)
            missing |= group.missing
            rows += _measure_all(context, name, group)
    return {"rows": rows, "missing": missing}


def _upstream(name: str, context: Context) -> Service:
    folder = context.scratch / f"latency-upstream-{name}"
    if name == "null":
        null = NullUpstream(tools.nginx(), folder, context.cores.on_load)
        for kind in ("json", "grpc"):
            null.answer_with(identity_reply(kind, _BYTES))
        return null.service
    triton.write_identity(folder / "repository")
    return triton.start(folder / "repository", ["identity"], folder, context.cores.on_load)


def _measure_all(context: Context, upstream: str, group: Lineup) -> list[dict[str, Any]]:
    # The null upstream has no metadata, and perf_analyzer asks for it first.
    ways = [way for way in _WAYS if upstream == "triton" or way[0] != "perf_analyzer"]
    total = sum(len(group.serving(kind)) for _, kind in ways) * context.rounds
    context.progress.begin(f"Added latency in front of {upstream}", total)
    found = []
    for tool, kind in ways:
        runners = group.serving(kind)
        rounds: dict[str, list[dict[str, Any]]] = {runner.name: [] for runner in runners}
        for number in range(context.rounds):
            turn = number % len(runners)
            for runner in (*runners[turn:], *runners[:turn]):
                measured = _measure(context, tool, kind, runner)
                rounds[runner.name].append(measured)
                context.progress.step(f"{tool:13s} {kind} {runner.name:9s} {_told(measured)}")
        for name, measurements in rounds.items():
            found.append({"upstream": upstream, "tool": tool, "kind": kind, "engine": name, "rounds": measurements})
    return found


def _measure(context: Context, tool: str, kind: Kind, runner: Runner) -> dict[str, Any]:
    message = identity_request(kind, _BYTES)
    target = Target(runner.address(kind), GRPC_PATH if kind == "grpc" else HTTP_PATH)
    folder, on = context.scratch / "load", context.cores.on_load
    try:
        ask_until_answered(target, message, 20)
        if tool == "perf_analyzer":
            libraries = tools.perf_analyzer_libraries(tools.triton(context.console))
            binary, protocol = tools.perf_analyzer(context.console), "grpc" if kind == "grpc" else "http"
            seen = load.perf_analyzer(binary, libraries, target.address, protocol, "IN:16", folder, on)
        else:
            seen = load.run(target, message, Amount(1, context.seconds), folder, on)
    except (LoadError, tools.ToolError) as error:
        return {"failure": str(error)}
    if seen.errors:
        return {"failure": f"{seen.errors} requests failed"}
    return {"p50_ms": seen.p50_ms, "p99_ms": seen.p99_ms, "failure": ""}


def _told(measured: dict[str, Any]) -> str:
    if measured["failure"]:
        return f"FAILED: {measured['failure']}"
    return f"p50 {measured['p50_ms']:.3f} ms, p99 {measured['p99_ms']:.3f} ms"
