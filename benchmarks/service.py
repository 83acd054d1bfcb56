"""A program under test: started on its own cores, waited for, and stopped with everything it started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.proc import tree


class ServiceError(Exception):
    """A program could not be started; the message says why."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores the two sides of a measurement run on, as taskset lists; empty for wherever the system likes.

    Attributes:
        load: the load tool and the upstream.
        proxy: the program under test.
    """

    load: str = ""
    proxy: str = ""

    @classmethod
    def split(cls, available: Sequence[int]) -> Cores:
        """The proxy gets the last core for itself, everything else the others; with one core nobody is placed."""
        if len(available) < 2:
            return cls()
        *others, last = sorted(available)
        return cls(load=",".join(map(str, others)), proxy=str(last))

    @property
    def on_load(self) -> list[str]:
        """A command prefix."""
        return ["taskset", "-c", self.load] if self.load else []

    @property
    def on_proxy(self) -> list[str]:
        """A command prefix."""
        return ["taskset", "-c", self.proxy] if self.proxy else []


class Service:
    """A started program; a context manager that ends it, and what it has started.

    Args:
        name: what it is called in results.
        command: its argument list.
        folder: where it runs and where its log goes.
        http: its HTTP address, empty if it has none.
        grpc: its gRPC address, empty if it has none.
        env: further environment variables.
        cwd: where it runs instead of `folder`.
    """

    def __init__(  # noqa: PLR0913 - each is a thing of its own
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        *,
        http: str = "",
        grpc: str = "",
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name, self.http, self.grpc = name, http, grpc
        self.log = folder / f"{name}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # its end tells the programs that look at it that the benchmark is gone
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=cwd or folder,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )
        self.pid = self.process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()

    def wait(self, ready: Callable[[], bool], seconds: float) -> Self:
        """Wait until `ready()` says so.

        Raises:
            ServiceError: it ended, or was not ready in time; it is stopped then.
        """
        limit = time.monotonic() + seconds
        while not ready():
            ended = self.process.poll() is not None
            if ended or time.monotonic() > limit:
                self.stop()
                what = "ended at once" if ended else f"was not ready within {seconds:.0f} s"
                raise ServiceError(f"{self.name} {what}; its log ends: {self.log_end()}")
            time.sleep(0.1)
        return self

    def log_end(self, characters: int = 600) -> str:
        """The end of what it printed, on one line."""
        lines = self.log.read_text(errors="replace").splitlines()
        return " | ".join(line.strip() for line in lines if line.strip())[-characters:]

    def stop(self) -> None:
        """SIGTERM, ten seconds, then SIGKILL for it and every process that it started."""
        pids = tree(self.pid)
        if self.process.stdin:
            with suppress(OSError):
                self.process.stdin.close()
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        for pid in pids:
            if _is_in_session(pid, self.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()
        limit = time.monotonic() + 10
        while any(_runs(pid) for pid in pids) and time.monotonic() < limit:
            time.sleep(0.02)


def _runs(pid: int) -> bool:
    """Whether a process is there and has not ended; one that nobody has reaped yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def _is_in_session(pid: int, session: int) -> bool:
    """Whether `pid` is alive and still what was started here, not a later process with its number."""
    try:
        return os.getsid(pid) in {session, pid}
    except ProcessLookupError:
        return False


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, all different."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def listens(address: str) -> bool:
    """Whether somebody accepts connections at HOST:PORT."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True
