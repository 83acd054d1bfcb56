"""`triton-gateway serve` as a process with workers, as an operator runs it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import yaml

from tests.reliability.triton import Triton


def config_text(tritons: Sequence[Triton], workers: int = 1, **limits: float) -> str:
    """A configuration file in front of some Tritons."""
    return yaml.safe_dump(
        {
            "http": {"host": "127.0.0.1", "port": 0},
            "grpc": {"host": "127.0.0.1", "port": 0},
            "control": {"port": 0},
            "limits": {"deadline_seconds": 30, "drain_seconds": 20, **limits},
            "workers": workers,
            "upstreams": [{"name": f"t{i}", "http": t.http, "grpc": t.grpc} for i, t in enumerate(tritons)],
        }
    )


class Serving:
    """A gateway that runs.

    Args:
        process: its launcher.

    Attributes:
        lines: what it has printed so far.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def read_until(self, pattern: str) -> str:
        """Read what it prints until a line matches."""
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            while line := (await self.process.stdout.readline()).decode():
                self.lines.append(line.rstrip())
                if re.search(pattern, line):
                    return line
        raise AssertionError(f"it ended without a line like {pattern!r}:\n" + "\n".join(self.lines))

    def address(self, protocol: str) -> str:
        """The "127.0.0.1:port" of "HTTP", "gRPC" or "control"."""
        found = (re.search(rf"^ *{protocol} +(?:http://)?localhost:(\d+)", line) for line in self.lines)
        return next(f"127.0.0.1:{match[1]}" for match in found if match)

    async def workers(self, count: int) -> list[int]:
        """The process ids of the workers, once there are so many."""
        async with asyncio.timeout(20), httpx.AsyncClient(trust_env=False) as client:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    reply = await client.get(f"http://{self.address('control')}/v1/status")
                    if reply.status_code == 200:
                        pids = [row["pid"] for row in reply.json()["workers"] if row["pid"] and is_alive(row["pid"])]
                        if len(pids) == count:
                            return pids
                await asyncio.sleep(0.02)

    async def stop(self) -> tuple[int, str]:
        """SIGTERM; gives the exit code and the rest of what it printed."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(40):
            rest, _ = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, rest.decode()


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@asynccontextmanager
async def serve(path: Path, text: str) -> AsyncIterator[Serving]:
    """Run it with the configuration `text` in the file `path`, until all of it serves."""
    path.write_text(text, encoding="utf-8")  # noqa: ASYNC240 - a small file, in a test
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway.cli",
        "serve",
        "--config",
        str(path),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "400"},
    )
    running = Serving(process)
    try:
        await running.read_until(r"^Serving\.")
        yield running
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def clients_of(pid: int, ports: Sequence[int]) -> set[int]:
    """The ports of the clients that are connected to some ports of a process."""
    inodes = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            target = str(fd.readlink())
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    found = set()
    for row in Path("/proc/net/tcp").read_text(encoding="utf-8").splitlines()[1:]:
        fields = row.split()
        local, remote, inode = (int(fields[1].rpartition(":")[2], 16), int(fields[2].rpartition(":")[2], 16), fields[9])
        if inode in inodes and local in ports and remote:
            found.add(remote)
    return found


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    match = re.search(r"^Rss: +(\d+) kB", rollup, re.MULTILINE)
    assert match
    return int(match[1]) * 1024


def descriptors(pid: int) -> int:
    """How many files and sockets a process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
