"""Part "idle": what ten thousand connections cost on which nothing happens."""

from __future__ import annotations

import resource
import socket
from contextlib import ExitStack
from typing import Any

from benchmarks import lineup, tools
from benchmarks.context import Context
from benchmarks.engines.null import NullUpstream
from benchmarks.lineup import Runner
from benchmarks.payloads import Kind
from benchmarks.proc import memory

_CONNECTIONS = 10_000
_SPARE_FILES = 200
_REQUEST = b"GET /v2/health/live HTTP/1.1\r\nhost: bench\r\n\r\n"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS = b"\0\0\0\4\0\0\0\0\0"
_SETTINGS_ACK = b"\0\0\0\4\1\0\0\0\0"


def run(context: Context) -> dict[str, Any]:
    """Open the connections to everybody, one after the other, each freshly started."""
    try:
        nginx = tools.nginx()
    except tools.ToolError as error:
        context.progress.note(f"left out: {error}")
        return {"rows": [], "missing": {"upstream null": str(error)}}
    count = allow_connections(1000 if context.quick else _CONNECTIONS)
    rows: list[dict[str, Any]] = []
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        null = stack.enter_context(NullUpstream(nginx, context.scratch / "idle", context.cores.on_load).service)
        names = [name for name in lineup.names(context) if name != "grpc.aio"]
        context.progress.begin(f"{count} idle connections", len(names) * 2)
        for name in names:
            for kind in ("json", "grpc"):
                with ExitStack() as one:
                    group = lineup.start(context, null, context.scratch / f"idle-{kind}-{name}", one, only=[name])
                    missing |= group.missing
                    rows += [_measure(context, kind, runner, count) for runner in group.runners if runner.pid]
    return {"rows": rows, "missing": missing}


def allow_connections(wanted: int) -> int:
    """Raise this process's limit on open files, which the servers inherit; the number of connections that fits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _SPARE_FILES
    if soft < needed:
        soft = min(needed * 2, hard) if hard != resource.RLIM_INFINITY else needed * 2
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(wanted, soft - _SPARE_FILES)


def _measure(context: Context, kind: Kind, runner: Runner, count: int) -> dict[str, Any]:
    row: dict[str, Any] = {"engine": runner.name, "kind": kind, "connections": count, "failure": ""}
    sockets: list[socket.socket] = []
    try:
        sockets += [open_one(kind, runner.address(kind)) for _ in range(10)]  # what is set up once does not count
        before = memory(runner.pid)
        for _ in range(count):
            sockets.append(open_one(kind, runner.address(kind)))
        after = memory(runner.pid)
        row |= {"before": before.rss, "after": after.rss, "largest": after.largest_rss}
        row["open"] = sum(is_open(s) for s in sockets) - 10
        told = f"{(after.rss - before.rss) / 2**20:.0f} MiB more, {row['open']} open"
    except OSError as error:
        row["failure"] = f"after {len(sockets)} connections: {error!r}"
        told = f"FAILED: {row['failure']}"
    finally:
        for s in sockets:
            s.close()
    context.progress.step(f"{kind:6s} {runner.name:9s} {told}")
    return row


def open_one(kind: Kind, address: str) -> socket.socket:
    """A connection that has been used once (HTTP), or whose HTTP/2 handshake is done (gRPC)."""
    host, _, port = address.rpartition(":")
    connection = socket.create_connection((host, int(port)), timeout=20)
    connection.sendall(_PREFACE + _SETTINGS if kind == "grpc" else _REQUEST)
    if not connection.recv(65536):
        connection.close()
        raise ConnectionError("closed at once")
    if kind == "grpc":
        connection.sendall(_SETTINGS_ACK)
    return connection


def is_open(connection: socket.socket) -> bool:
    """Whether the other side has not closed it; what it may have sent is read."""
    connection.setblocking(False)
    try:
        while True:
            if not connection.recv(65536):
                return False
    except BlockingIOError:
        return True
    except OSError:
        return False
