"""Triton's ports: picked where the configuration leaves them open, and proved free before the start.

Triton itself reports a port in use only after it has loaded, and two servers that both share a port would go unnoticed.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from gateway.config import TritonSection
from gateway.core.errors import SetupError


@dataclass(frozen=True, slots=True)
class Ports:
    """The three ports of one Triton."""

    http: int
    grpc: int
    metrics: int


def numeric(host: str) -> str:
    """The address of a loopback host."""
    return "127.0.0.1" if host == "localhost" else host


def address(host: str, port: int) -> str:
    """`HOST:PORT` as a client takes it."""
    return f"[{host}]:{port}" if ":" in host else f"{numeric(host)}:{port}"


def choose(section: TritonSection, patience: float = 0.0) -> Ports:
    """Prove the configured ports free, and pick free ones for those that are 0.

    Args:
        section: what is configured.
        patience: how long to wait for a port that is in use, in seconds; a Triton that was just killed lets go soon.

    Raises:
        SetupError: a port is in use, or may not be used; names its configuration key.
    """
    wanted = {"http_port": section.http_port, "grpc_port": section.grpc_port, "metrics_port": section.metrics_port}
    deadline = time.monotonic() + patience
    while True:
        try:
            with ExitStack() as all_three:  # held together, so that none is picked twice
                taken = {
                    key: all_three.enter_context(_bound(numeric(section.host), port, f"triton.{key}"))
                    for key, port in wanted.items()
                }
                return Ports(taken["http_port"], taken["grpc_port"], taken["metrics_port"])
        except SetupError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.05)


@contextmanager
def _bound(host: str, port: int, key: str) -> Iterator[int]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        # Reusing the address ignores connections that are only closing. It does not hide a listener, also not one that
        # shares its port (SO_REUSEPORT), because this socket does not share.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise SetupError(
                    f"port {port} ({key}) is in use on {host}: end the program that uses it (`ss -ltnp` shows it), or "
                    f"set another {key}; 0 takes a free one"
                ) from None
            raise SetupError(
                f"port {port} ({key}) cannot be used on {host}: {error.strerror}; set another {key}"
            ) from None
        yield int(probe.getsockname()[1])
