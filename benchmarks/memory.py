"""Part "memory": whether a proxy's memory is flat while 128 clients send 600 KB each, over and over."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from benchmarks import lineup, load, tools
from benchmarks.client import ask_until_answered
from benchmarks.context import Context
from benchmarks.engines.null import NullUpstream
from benchmarks.lineup import Runner
from benchmarks.load import Amount, LoadError, Target
from benchmarks.payloads import GRPC_PATH, Kind, identity_reply, identity_request
from benchmarks.proc import memory, watch_memory
from benchmarks.proxies import HTTP_PATH, failure

_BYTES = 600_000
_CONCURRENCY = 128
_KINDS: tuple[Kind, ...] = ("binary", "grpc")


def run(context: Context) -> dict[str, Any]:
    """Watch the memory of everybody under the same load, one after the other, each freshly started."""
    try:
        nginx = tools.nginx()
    except tools.ToolError as error:
        context.progress.note(f"left out: {error}")
        return {"rows": [], "missing": {"upstream null": str(error)}}
    rows: list[dict[str, Any]] = []
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        null = NullUpstream(nginx, context.scratch / "memory", context.cores.on_load)
        stack.enter_context(null.service)
        for kind in _KINDS:
            null.answer_with(identity_reply(kind, _BYTES))
        names = lineup.names(context)
        context.progress.begin("Memory under load", len(names) * len(_KINDS) - 1)
        for kind in _KINDS:
            for name in names:
                with ExitStack() as one:
                    folder = context.scratch / f"memory-{kind}-{name}"
                    group = lineup.start(context, null.service, folder, one, only=[name])
                    missing |= group.missing
                    rows += [_watch(context, kind, runner) for runner in group.serving(kind) if runner.pid]
    return {"rows": rows, "missing": missing, "bytes": _BYTES, "concurrency": _CONCURRENCY}


def _watch(context: Context, kind: Kind, runner: Runner) -> dict[str, Any]:
    message = identity_request(kind, _BYTES)
    target = Target(runner.address(kind), GRPC_PATH if kind == "grpc" else HTTP_PATH)
    seconds = 3.0 if context.quick else 20.0
    row: dict[str, Any] = {"engine": runner.name, "kind": kind, "failure": "", "samples": []}
    try:
        expected = ask_until_answered(target, message, 20)
        row["before"] = memory(runner.pid).largest_rss
        with watch_memory(runner.pid, 0.1) as watched:
            amount = Amount(_CONCURRENCY, seconds)
            seen = load.run(target, message, amount, context.scratch / "load", context.cores.on_load)
        row["failure"] = failure(seen, len(expected))
        row["requests"] = seen.requests
        row["samples"] = [[at, m.largest_rss, m.pss] for at, m in watched.samples]
        row["peak"], row["peak_pss"] = watched.peak.largest_rss, watched.peak.pss
        told = f"{row['before'] / 2**20:.0f} MiB before, at most {row['peak'] / 2**20:.0f} MiB"
    except LoadError as error:
        row["failure"] = str(error)
        told = ""
    context.progress.step(f"{kind:6s} {runner.name:9s} {told} {row['failure'] and 'FAILED: ' + row['failure']}")
    return row
