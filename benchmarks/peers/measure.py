"""Part "peers": real models end to end, against servers that do the same job, and ONNX Runtime alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks import load, models, replies, tools, triton
from benchmarks.client import ask_until_answered
from benchmarks.context import Context
from benchmarks.engines import gateway
from benchmarks.load import Amount, LoadError, Target, percentile
from benchmarks.models import Sample
from benchmarks.payloads import KINDS, Kind, Message
from benchmarks.peers.start import ONE_THREAD, PEERS, WORKERS, Peer
from benchmarks.service import Service, ServiceError
from gateway.core.errors import SetupError
from gateway.repository.samples import fetch_samples

CONCURRENCIES = (1, 16, 64)
ALONE = "onnxruntime"


@dataclass(frozen=True, slots=True)
class Score:
    """One measurement of one server.

    Attributes:
        per_second: requests that were answered.
        p50_ms, p99_ms: latency.
        failure: why this does not count; empty if it does.
    """

    per_second: float
    p50_ms: float
    p99_ms: float
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Contender:
    """A running server with the way to ask it."""

    peer: Peer
    service: Service

    def target(self, kind: Kind, model: str) -> Target:
        """Where requests go."""
        return Target(self.service.grpc if kind == "grpc" else self.service.http, self.peer.path(kind, model))


def run(context: Context) -> dict[str, Any]:
    """Measure every model, kind and concurrency on everybody."""
    try:
        fetch_samples(models.REPOSITORY, {"onnx"}, context.console)
    except SetupError as error:
        context.progress.note(f"the models cannot be had: {error.message}")
        return {"cells": [], "missing": {"everything": error.message}}
    rows: list[dict[str, Any]] = []
    missing = {peer.name: peer.why_not for peer in PEERS if peer.why_not}
    for name in models.MODELS[:1] if context.quick else models.MODELS:
        with ExitStack() as stack:
            sample = models.sample(name)
            contenders = _start(context, sample, stack, missing)
            rows += _measure_model(context, sample, contenders)
    return {"cells": rows, "missing": missing}


def _start(context: Context, sample: Sample, stack: ExitStack, missing: dict[str, str]) -> list[Contender]:
    """Start everybody for one model; all of them run the whole time, and all but one are idle."""
    folder = context.scratch / "peers" / sample.name
    triton.copy_model(sample.name, folder / "repository", WORKERS)
    server = stack.enter_context(triton.start(folder / "repository", [sample.name], folder / "triton", []))
    upstream = (server.http, server.grpc)
    found = [Contender(Peer("triton", KINDS, lambda *_: server), server)]
    ours = Peer("gateway", KINDS, lambda *_: gateway.start(upstream, folder / "gateway", []))
    versions = [
        Peer(name, KINDS, partial(_gateway_of, name, source, upstream)) for name, source in context.versions.items()
    ]
    for peer in (ours, *versions, *PEERS):
        context.progress.note(f"starting {peer.name} with {sample.name}")
        try:
            service = stack.enter_context(peer.start(sample, folder / peer.name, context.console))
            contender = Contender(peer, service)
            _check(contender, sample, peer.kinds, seconds=60)
        except (ServiceError, tools.ToolError, LoadError) as error:
            missing[f"{peer.name} with {sample.name}"] = str(error)
            context.progress.note(f"{peer.name} is left out: {error}")
        else:
            found.append(contender)
    return found


def _gateway_of(name: str, source: Path, upstream: tuple[str, str], _: Sample, folder: Path, __: Console) -> Service:
    return gateway.start(upstream, folder, [], name=name, source=source)


def _check(contender: Contender, sample: Sample, kinds: Sequence[Kind], seconds: float) -> None:
    """Raises LoadError where an answer is not what ONNX Runtime gives."""
    for kind in kinds:
        body = ask_until_answered(contender.target(kind, sample.name), contender.peer.message(kind, sample), seconds)
        try:
            wrong = models.differences(contender.peer.read(kind, body, sample), sample.outputs)
        except replies.ReplyError as error:
            wrong = str(error)
        if wrong:
            raise LoadError(f"{contender.peer.name} answers {kind} wrongly: {wrong}")


def _measure_model(context: Context, sample: Sample, contenders: Sequence[Contender]) -> list[dict[str, Any]]:
    wanted, repeated = ((16,), 1) if context.quick else (CONCURRENCIES, context.rounds)
    total = (sum(len(c.peer.kinds) for c in contenders) + 1) * len(wanted) * repeated
    context.progress.begin(f"Peers with {sample.name}", total)
    scores: dict[tuple[str, str, int], list[Score]] = {}
    for concurrency in wanted:
        for number in range(repeated):
            alone = in_process(context, sample, 1 if concurrency == 1 else WORKERS)
            _note(context, scores, (ALONE, "call", concurrency), alone)
            for kind in KINDS:
                taking = [c for c in contenders if kind in c.peer.kinds]
                turn = number % len(taking)
                for contender in (*taking[turn:], *taking[:turn]):
                    score = _measure(context, contender, sample, kind, concurrency)
                    _note(context, scores, (contender.peer.name, kind, concurrency), score)
    return [
        {"model": sample.name, "engine": name, "kind": kind, "concurrency": c, "rounds": [asdict(s) for s in found]}
        for (name, kind, c), found in scores.items()
    ]


def _note(
    context: Context, scores: dict[tuple[str, str, int], list[Score]], key: tuple[str, str, int], score: Score
) -> None:
    scores.setdefault(key, []).append(score)
    name, kind, concurrency = key
    told = f"FAILED: {score.failure}" if score.failure else f"{score.per_second:7.1f}/s, p99 {score.p99_ms:.1f} ms"
    context.progress.step(f"{kind:6s} x{concurrency:<3d} {name:12s} {told}")


def _measure(context: Context, contender: Contender, sample: Sample, kind: Kind, concurrency: int) -> Score:
    message = contender.peer.message(kind, sample)
    target = contender.target(kind, sample.name)
    seconds = context.seconds * (1 if context.quick else 2)  # whole models are slow: fewer requests in a second
    try:
        _warm_up(target, message)
        seen = load.run(target, message, Amount(concurrency, seconds), context.scratch / "load")
        _check(contender, sample, [kind], seconds=10)
    except LoadError as error:
        return Score(0, 0, 0, str(error))
    if seen.errors or not seen.requests:
        return Score(0, 0, 0, f"{seen.errors} requests failed, {seen.requests} were answered")
    rate = round(seen.requests / seen.seconds, 1)
    return Score(rate, round(seen.p50_ms, 2), round(seen.p99_ms, 2))


def _warm_up(target: Target, message: Message) -> None:
    for _ in range(3):
        ask_until_answered(target, message, 10)


def in_process(context: Context, sample: Sample, processes: int) -> Score:
    """ONNX Runtime alone: `processes` loops of one thread each, at once."""
    inputs = context.scratch / "inputs.npz"
    np.savez(inputs, **sample.inputs)
    seconds = context.seconds
    command = [sys.executable, str(Path(load.__file__).with_name("in_process.py")), str(sample.path), str(inputs)]
    loops = [
        subprocess.Popen(
            [*command, str(seconds)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ONE_THREAD
        )
        for _ in range(processes)
    ]
    for loop in loops:
        assert loop.stdout is not None  # noqa: S101 - Popen gives it with PIPE
        loop.stdout.readline()
    for loop in loops:
        assert loop.stdin is not None  # noqa: S101 - the same
        loop.stdin.write("go\n")
        loop.stdin.flush()
    latencies = sorted(int(us) for loop in loops for us in loop.communicate()[0].split())
    if not latencies:
        return Score(0, 0, 0, "ONNX Runtime did not run")
    rate = round(len(latencies) / seconds, 1)
    return Score(rate, round(percentile(latencies, 50) / 1e3, 2), round(percentile(latencies, 99) / 1e3, 2))
