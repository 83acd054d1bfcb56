"""Run the benchmark: `python -m benchmarks.run [--quick] [--part proxies ...]`; see benchmarks/README.md."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from benchmarks import chain, idle, latency, load, machine, memory, models_1000, proxies, report, tools
from benchmarks.context import Context, Progress
from benchmarks.peers import measure as peers
from benchmarks.service import Cores

HERE = Path(__file__).parent
PARTS: dict[str, Callable[[Context], dict[str, Any]]] = {
    "proxies": proxies.run,
    "latency": latency.run,
    "memory": memory.run,
    "idle": idle.run,
    "chain": chain.run,
    "models": models_1000.run,
    "peers": peers.run,
}


def main(arguments: Sequence[str]) -> int:
    """Measure, write one JSON file a part, and make the report from all that is there."""
    options = _options(arguments)
    console = Console()
    signal.signal(signal.SIGTERM, _end)
    if missing := load.missing_tools():
        console.print(f"error: {' and '.join(missing)} not found; on Debian and Ubuntu: apt install wrk nghttp2-client")
        return 1
    out = options.out or (tools.cache_dir() / "quick" if options.quick else HERE / "results")
    out.mkdir(parents=True, exist_ok=True)
    described = machine.describe()
    with tempfile.TemporaryDirectory(prefix="triton-gateway-bench-") as scratch:
        context = _context(options, console, Path(scratch))
        for name in options.part or PARTS:
            settings = {"quick": options.quick, "rounds": context.rounds, "seconds": context.seconds}
            found = PARTS[name](context)
            whole = {"machine": described, "settings": settings, **found}
            (out / f"{name}.json").write_text(json.dumps(whole, indent=1) + "\n")
    target = out / "RESULTS.md" if options.quick or options.out else HERE / "RESULTS.md"
    report.write(out, target, console)
    return 0


def _end(number: int, _: FrameType | None) -> None:
    """End as on Ctrl-C, so that every program that was started is stopped."""
    raise SystemExit(128 + number)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    parser.add_argument("--part", action="append", choices=list(PARTS), help="only this part; repeat it for several")
    parser.add_argument("--quick", action="store_true", help="a glance in under three minutes")
    parser.add_argument("--rounds", type=int, help="how often each thing is measured; default 3, quick 2")
    parser.add_argument("--seconds", type=float, help="how long one measurement takes; default 2, quick 1")
    parser.add_argument(
        "--compare", action="append", default=[], metavar="NAME=DIR", help="measure another checkout's gateway as well"
    )
    parser.add_argument(
        "--cells", default="", metavar="REGEX", help="only the proxies' cells it matches: 'null grpc 4 KB x16'"
    )
    parser.add_argument("--engine", action="append", default=[], help="only this proxy, such as envoy; repeat it")
    parser.add_argument("--out", type=Path, help="folder for the JSON files and the report")
    return parser.parse_args(arguments)


def _context(options: argparse.Namespace, console: Console, scratch: Path) -> Context:
    versions = dict(pair.split("=", 1) for pair in options.compare)
    return Context(
        console=console,
        scratch=scratch,
        cores=Cores.split(sorted(os.sched_getaffinity(0))),
        quick=options.quick,
        rounds=options.rounds or (2 if options.quick else 3),
        seconds=options.seconds or (1.0 if options.quick else 2.0),
        versions={name: Path(folder).resolve() for name, folder in versions.items()},
        cells=re.compile(options.cells),
        engines=frozenset(options.engine),
        progress=Progress(console),
    )


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
