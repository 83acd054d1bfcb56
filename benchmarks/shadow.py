"""What a mirror adds to the clients' requests: `python -m benchmarks.shadow [--shadow slow ...] [--pairs 20]`.

One gateway with one worker has two routes to one model, and one of them is mirrored at 100 %. Both get the same load,
in short blocks that take turns (A B B A ...), so that whatever happens on the machine happens to both. What is told
is the median, over the pairs of blocks, of the ratio of their percentiles, so that what disturbs one block weighs as
much as one pair; with a confidence interval by bootstrap over the pairs. The gateway's CPU time is told beside it: it
shows what a noisy machine hides.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console

from benchmarks import machine, tools
from benchmarks.client import ask_until_answered
from benchmarks.engines import shadow as shadows
from benchmarks.engines.null import NullUpstream
from benchmarks.load import LoadError, Target
from benchmarks.payloads import identity_reply, identity_request
from benchmarks.proc import cpu_seconds
from benchmarks.service import Cores, Service, free_ports, listens

Latencies = npt.NDArray[np.int64]
"""Microseconds, one for each request."""

Middle = Callable[..., Any]
"""The mean or the median, of numpy's."""

_ROOT = Path(__file__).parents[1]
_BYTES = 100
_CONNECTIONS = 4
_SETTLE_SECONDS = 1  # of each block, in which copies of the block before are still answered
_RESAMPLES = 10_000
_SEED = 7
_PLAIN, _MIRRORED = "plain", "mirrored"


@dataclass(frozen=True, slots=True)
class Ratio:
    """Something of the mirrored requests as a multiple of the same of the others.

    Attributes:
        plain: median (of CPU time the mean) of the blocks without a mirror, in microseconds.
        mirrored: the same with one.
        ratio: the same of the pairs' ratios.
        low: its interval's lower end, 95 %.
        high: its upper end.
    """

    plain: float
    mirrored: float
    ratio: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Block:
    """What one route was measured at.

    Attributes:
        latencies: of the requests that were answered with 200.
        errors: all others.
        cpu_us: CPU time of the gateway for each request.
    """

    latencies: Latencies
    errors: int
    cpu_us: float = 0.0


def compare(pairs: Sequence[tuple[float, float]], middle: Middle = np.median) -> Ratio:
    """The ratio of what pairs of blocks were measured at, plain and mirrored; the pairs are what is drawn again.

    Args:
        pairs: what was measured, in microseconds.
        middle: the mean or the median.
    """
    plain, mirrored = np.array(pairs).T
    ratios = mirrored / plain
    drawn = np.random.default_rng(_SEED).integers(len(pairs), size=(_RESAMPLES, len(pairs)))
    low, high = np.percentile(middle(ratios[drawn], axis=-1), [2.5, 97.5])
    return Ratio(
        plain=float(middle(plain)),
        mirrored=float(middle(mirrored)),
        ratio=float(middle(ratios)),
        low=float(low),
        high=float(high),
    )


def read(log: str, settle: float, cpu: float = 0.0) -> Block:
    """Read h2load's log (start in us, status, duration in us), without the requests of the first `settle` seconds.

    Args:
        log: what h2load wrote.
        settle: seconds.
        cpu: seconds of CPU time that the gateway has spent on all of it.

    Raises:
        LoadError: there is none.
    """
    rows = np.array([line.split("\t")[:3] for line in log.splitlines()], dtype=np.int64).reshape(-1, 3)
    late = rows[:, 0] - rows[:, 0].min(initial=2**62) >= settle * 1e6
    if not late.any():
        raise LoadError("h2load was not answered at all")
    good = rows[:, 1] == 200
    return Block(rows[good & late, 2], int((~good).sum()), cpu / len(rows) * 1e6)


def config(upstream: str, shadow: str, ports: Sequence[int]) -> dict[str, Any]:
    """The gateway's configuration, which is the same for both routes but for the mirror.

    Args:
        upstream: HTTP address of the model that answers.
        shadow: that of the one that gets copies.
        ports: for HTTP, gRPC and control.
    """
    target = [{"model": "identity"}]
    mirror = {"model": "identity", "upstreams": "shadows"}
    return {
        "http": {"host": "127.0.0.1", "port": ports[0]},
        "grpc": {"host": "127.0.0.1", "port": ports[1]},
        "control": {"port": ports[2]},
        "upstreams": [
            {"http": upstream, "grpc": upstream},
            {"name": "shadow", "http": shadow, "grpc": shadow, "group": "shadows"},
        ],
        "traffic": {
            "routes": [
                {"model": _PLAIN, "targets": target},
                {"model": _MIRRORED, "targets": target, "mirrors": [mirror]},
            ]
        },
    }


def start(upstream: str, shadow: str, folder: Path, on: Sequence[str]) -> Service:
    """Start the gateway."""
    ports = free_ports(3)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "gateway.yaml"
    path.write_text(json.dumps(config(upstream, shadow, ports)))
    command = [*on, sys.executable, "-m", "gateway.cli", "serve", "--config", str(path)]
    service = Service("gateway", command, folder, cwd=_ROOT, http=f"127.0.0.1:{ports[0]}")
    return service.wait(lambda: listens(service.http), 40)


class _Load:
    """h2load at a fixed rate, so that a gateway that is slower is not asked less."""

    def __init__(self, folder: Path, on: Sequence[str], rate: int, seconds: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._on = folder, on
        self._rate, self._seconds = rate, seconds
        self._message = identity_request("json", _BYTES)
        (folder / "body").write_bytes(self._message.wire)

    def block(self, gateway: Service, model: str) -> Block:
        """Ask one route of the gateway for a while.

        Raises:
            LoadError: the tool failed.
        """
        log = self._folder / "log"
        log.unlink(missing_ok=True)
        command = [
            *self._on,
            "h2load",
            "--h1",
            "--threads=1",
            f"--clients={_CONNECTIONS}",
            "--max-concurrent-streams=1",
        ]
        command += [f"--rps={self._rate / _CONNECTIONS}", f"--duration={self._seconds + _SETTLE_SECONDS}"]
        command += [f"--data={self._folder / 'body'}", f"--log-file={log}"]
        command += [f"--header={name}: {value}" for name, value in self._message.headers.items()]
        command.append(f"http://{gateway.http}/v2/models/{model}/infer")
        before = cpu_seconds(gateway.pid)
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=self._seconds + 60)
        if done.returncode or not log.exists():
            raise LoadError(f"h2load: {done.stderr.strip()[-300:]}")
        return read(log.read_text(), _SETTLE_SECONDS, cpu_seconds(gateway.pid) - before)


def measure(state: shadows.State, options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Measure with the shadow in one state."""
    cores = Cores.split(sorted(os.sched_getaffinity(0)))
    with ExitStack() as stack:
        null = NullUpstream(tools.nginx(), scratch / "null", cores.on_load)
        stack.enter_context(null.service)
        null.answer_with(identity_reply("json", _BYTES))
        shadow, process = shadows.start(state, scratch, cores.on_load)
        if process is not None:
            stack.enter_context(process)
        gateway = stack.enter_context(start(null.service.http, shadow, scratch / "gateway", cores.on_proxy))
        load = _Load(scratch / "load", cores.on_load, options.rate, options.seconds)
        for model in (_PLAIN, _MIRRORED):
            ask_until_answered(Target(gateway.http, f"/v2/models/{model}/infer"), identity_request("json", _BYTES))
            load.block(gateway, model)
        blocks: dict[str, list[Block]] = {_PLAIN: [], _MIRRORED: []}
        for number in range(options.pairs):
            for model in (_PLAIN, _MIRRORED) if number % 2 == 0 else (_MIRRORED, _PLAIN):
                blocks[model].append(load.block(gateway, model))
        copies = 0 if process is None else _count(shadow)
    return {"shadow": state, "copies": copies} | _summary(blocks)


def _count(shadow: str) -> int:
    """Copies that the shadow got."""
    with urllib.request.urlopen(f"http://{shadow}/count", timeout=10) as reply:
        return int(reply.read())


def _summary(blocks: dict[str, list[Block]]) -> dict[str, Any]:
    def each(value: Callable[[Block], float], middle: Middle = np.median) -> dict[str, float]:
        pairs = [(value(one), value(other)) for one, other in zip(*blocks.values(), strict=True)]
        return asdict(compare(pairs, middle))

    return {
        "pairs": len(blocks[_PLAIN]),
        "requests": {model: sum(len(block.latencies) for block in found) for model, found in blocks.items()},
        "errors": {model: sum(block.errors for block in found) for model, found in blocks.items()},
        "p50": each(lambda block: float(np.percentile(block.latencies, 50))),
        "p99": each(lambda block: float(np.percentile(block.latencies, 99))),
        # The system counts ticks of 10 ms, so that single blocks differ by a tick or by none: the mean knows more.
        "CPU": each(lambda block: block.cpu_us, np.mean),
    }


def told(row: dict[str, Any]) -> str:
    """One state's figures, as a line."""
    parts = [f"{row['shadow']:8s} {row['pairs']} pairs, {row['copies']} copies"]
    for name in ("p50", "p99", "CPU"):
        found = row[name]
        parts.append(
            f"{name} {found['plain']:.0f} -> {found['mirrored']:.0f} us: {100 * (found['ratio'] - 1):+.2f} % "
            f"[{100 * (found['low'] - 1):+.2f}, {100 * (found['high'] - 1):+.2f}]"
        )
    parts.append(f"errors {row['errors'][_PLAIN]} and {row['errors'][_MIRRORED]} of {row['requests'][_PLAIN]} each")
    return "; ".join(parts)


def _end(number: int, _: FrameType | None) -> None:
    """End as on Ctrl-C, so that every program that was started is stopped."""
    raise SystemExit(128 + number)


def main(arguments: Sequence[str]) -> int:
    """Measure every state that is asked for, and write what was seen."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shadow", description=__doc__)
    parser.add_argument("--shadow", action="append", choices=shadows.STATES, help="only this state; repeat it")
    parser.add_argument("--pairs", type=int, default=20, help="pairs of blocks; default 20")
    parser.add_argument("--seconds", type=int, default=1, help="measured in each block; default 1")
    parser.add_argument("--rate", type=int, default=1000, help="requests a second; default 1000")
    parser.add_argument("--out", type=Path, default=_ROOT / "benchmarks" / "results" / "shadow.json")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _end)
    console = Console(soft_wrap=True, highlight=False)
    rows = []
    for state in options.shadow or shadows.STATES:
        with tempfile.TemporaryDirectory(prefix="triton-gateway-bench-") as scratch:
            rows.append(measure(state, options, Path(scratch)))
        console.print(told(rows[-1]), markup=False)
    settings = {name: getattr(options, name) for name in ("pairs", "seconds", "rate")}
    options.out.write_text(
        json.dumps({"machine": machine.describe(), "settings": settings, "rows": rows}, indent=1) + "\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
