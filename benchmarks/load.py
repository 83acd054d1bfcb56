"""Public load tools, driven and read: wrk for HTTP/1.1, h2load for gRPC, perf_analyzer for a whole client."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.payloads import GRPC_PATH, Message

_WAIT_SECONDS = 120.0  # for one answer: what is slow is measured, not cut off


class LoadError(Exception):
    """A load tool did not do what it should."""


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of a load tool saw.

    Attributes:
        requests: that were answered.
        seconds: that it ran.
        p50_ms, p90_ms, p99_ms: latency in milliseconds.
        errors: requests that failed, by any count that the tool keeps.
        bytes_read: body bytes (h2load) or all bytes (wrk) that came back.
    """

    requests: int
    seconds: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    errors: int
    bytes_read: int


def missing_tools() -> list[str]:
    """The load tools that are not installed."""
    return [tool for tool in ("wrk", "h2load") if shutil.which(tool) is None]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes.

    Attributes:
        address: HOST:PORT.
        path: of the HTTP request, or of the gRPC method.
    """

    address: str
    path: str = GRPC_PATH


@dataclass(frozen=True, slots=True)
class Amount:
    """How much load.

    Attributes:
        concurrency: requests in flight at a time.
        seconds: for how long.
        requests: how many instead, if not 0. What takes seconds for one answer is measured so: at the end of a time,
            what is in flight would have cost CPU and not be counted.
    """

    concurrency: int
    seconds: float
    requests: int = 0


def run(target: Target, message: Message, amount: Amount, folder: Path, on: Sequence[str] = ()) -> Load:
    """Send `message` over and over.

    Args:
        target: where to.
        message: what; its kind chooses the tool.
        amount: how much load.
        folder: for scratch files.
        on: a command prefix that places the tool on its cores.

    Raises:
        LoadError: the tool failed; the message holds what it said.
    """
    folder.mkdir(parents=True, exist_ok=True)
    body = folder / "body"
    body.write_bytes(message.wire)
    if message.kind == "grpc" or amount.requests:
        return _h2load(target, message, amount, folder, on)
    return _wrk(target, message, amount, folder, on)


def _wrk(target: Target, message: Message, amount: Amount, folder: Path, on: Sequence[str]) -> Load:
    script = folder / "wrk.lua"
    script.write_text(wrk_script(message, folder / "body"))
    command = [*on, _found("wrk"), "--threads", "1", "--connections", str(amount.concurrency), "--duration"]
    command += [f"{max(1, round(amount.seconds))}s", "--timeout", f"{_WAIT_SECONDS:.0f}s", "--script", str(script)]
    return parse_wrk(_output([*command, f"http://{target.address}{target.path}"], amount.seconds))


def wrk_script(message: Message, body: Path) -> str:
    """The Lua script that makes wrk send `message` and print what it saw as JSON."""
    headers = "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, value in message.headers.items())
    return (
        f'local file = assert(io.open("{body}", "rb"))\n'
        'wrk.method = "POST"\n'
        'wrk.body = file:read("*a")\n'
        f"{headers}"
        "function done(summary, latency, requests)\n"
        "  local e = summary.errors\n"
        '  io.write(string.format("JSON {\\"requests\\": %d, \\"us\\": %d, \\"bytes\\": %d, \\"p50\\": %d, '
        '\\"p90\\": %d, \\"p99\\": %d, \\"errors\\": %d}\\n", summary.requests, summary.duration, summary.bytes, '
        "latency:percentile(50), latency:percentile(90), latency:percentile(99), "
        "e.connect + e.read + e.write + e.status + e.timeout))\n"
        "end\n"
    )


def parse_wrk(output: str) -> Load:
    """Read what the script of `wrk_script` printed."""
    found = re.search(r"^JSON (\{.*\})$", output, re.MULTILINE)
    if not found:
        raise LoadError(f"wrk printed no result: {output.strip()[-400:]}")
    seen = json.loads(found[1])
    return Load(
        requests=seen["requests"],
        seconds=seen["us"] / 1e6,
        p50_ms=seen["p50"] / 1e3,
        p90_ms=seen["p90"] / 1e3,
        p99_ms=seen["p99"] / 1e3,
        errors=seen["errors"],
        bytes_read=seen["bytes"],
    )


def connections_and_streams(concurrency: int) -> tuple[int, int]:
    """How gRPC requests in flight are spread: a client process has one connection and up to 8 calls on it."""
    streams = next(s for s in (8, 4, 1) if (concurrency % s == 0 and concurrency >= s * 4) or s == 1)
    return concurrency // streams, streams


def _h2load(target: Target, message: Message, amount: Amount, folder: Path, on: Sequence[str]) -> Load:
    plain = message.kind != "grpc"
    connections, streams = (amount.concurrency, 1) if plain else connections_and_streams(amount.concurrency)
    log = folder / "h2load.log"
    log.unlink(missing_ok=True)
    command = [*on, _found("h2load"), "--threads", "1", "--clients", str(connections)]
    command += ["--max-concurrent-streams", str(streams), *(["--h1"] if plain else [])]
    until = (
        ["--requests", str(amount.requests)] if amount.requests else ["--duration", str(max(1, round(amount.seconds)))]
    )
    command += until
    command += ["--window-bits", "30", "--connection-window-bits", "30"]  # the reader is never what is waited for
    command += ["--data", str(folder / "body"), "--log-file", str(log)]
    for name, value in message.headers.items():
        command += ["--header", f"{name}: {value}"]
    output = _output([*command, f"http://{target.address}{target.path}"], amount.seconds)
    return parse_h2load(output, log.read_text() if log.exists() else "")


def parse_h2load(output: str, log: str) -> Load:
    """Read h2load's summary, and the latency of each request from its log (start, status, duration in us)."""
    counts = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", output)
    finished = re.search(r"finished in ([\d.]+)(us|ms|s)\b", output)
    data = re.search(r"\((\d+)\) data", output)
    if not counts or not finished or not data:
        raise LoadError(f"h2load printed no result: {output.strip()[-400:]}")
    latencies = sorted(int(line.split("\t")[2]) for line in log.splitlines())
    succeeded, *wrong = (int(count) for count in counts.groups())
    return Load(
        requests=succeeded,
        seconds=float(finished[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[finished[2]],
        p50_ms=percentile(latencies, 50) / 1e3,
        p90_ms=percentile(latencies, 90) / 1e3,
        p99_ms=percentile(latencies, 99) / 1e3,
        errors=max(wrong),  # a failed request counts as errored too
        bytes_read=int(data[1]),
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile of what is sorted already; 0 of nothing."""
    if not ordered:
        return 0.0
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def perf_analyzer(  # noqa: PLR0913, PLR0917 - one for each option of the tool
    binary: Path, libraries: str, address: str, protocol: str, shape: str, folder: Path, on: Sequence[str] = ()
) -> Load:
    """Measure one request at a time with Triton's own client.

    Args:
        binary: the tool.
        libraries: what it needs in `LD_LIBRARY_PATH`.
        address: HOST:PORT of Triton or of a proxy.
        protocol: "http" or "grpc".
        shape: of the input, as NAME:SIZE.
        folder: for its report.
        on: a command prefix that places the tool on its cores.
    """
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / "perf.csv"
    report.unlink(missing_ok=True)
    command = [*on, str(binary), "-m", "identity", "-u", address, "-i", protocol, "--shape", shape]
    # It takes three windows in a row. How far they may differ is left to the rounds, which tell their own spread.
    command += ["--concurrency-range", "1", "--measurement-mode", "count_windows", "--stability-percentage", "999"]
    command += ["--measurement-request-count", "300", "--max-trials", "6", "-f", str(report)]
    output = _output(command, 60.0, {**os.environ, "LD_LIBRARY_PATH": libraries})
    if not report.exists():
        raise LoadError(f"perf_analyzer wrote no report: {output.strip()[-400:]}")
    return parse_perf_analyzer(report.read_text(), output)


def parse_perf_analyzer(report: str, output: str) -> Load:
    """Read the report's one line (in us), and how many requests the tool counted."""
    row = next(csv.DictReader(report.splitlines()))
    counted = re.findall(r"Request count: (\d+)", output)
    rate = float(row["Inferences/Second"])
    requests = int(counted[-1]) if counted else 0
    return Load(
        requests=requests,
        seconds=requests / rate if rate else 0.0,
        p50_ms=float(row["p50 latency"]) / 1e3,
        p90_ms=float(row["p90 latency"]) / 1e3,
        p99_ms=float(row["p99 latency"]) / 1e3,
        errors=0,  # it stops at the first
        bytes_read=0,
    )


def _found(tool: str) -> str:
    path = shutil.which(tool)
    if path is None:
        raise LoadError(f"{tool} is not installed; on Debian and Ubuntu: apt install wrk nghttp2-client")
    return path


def _output(command: Sequence[str], seconds: float, env: dict[str, str] | None = None) -> str:
    limit = seconds + _WAIT_SECONDS * 2
    try:
        done = subprocess.run(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        raise LoadError(f"{_tool_in(command)} did not end within {limit:.0f} s") from None
    if done.returncode:
        said = " | ".join(line for line in done.stdout.splitlines()[-3:] if line)
        raise LoadError(f"{_tool_in(command)} ended with status {done.returncode}: {said}")
    return done.stdout


def _tool_in(command: Sequence[str]) -> str:
    """The load tool in a command that may begin with taskset."""
    return next(Path(word).name for word in command if Path(word).name in {"wrk", "h2load", "perf_analyzer"})
