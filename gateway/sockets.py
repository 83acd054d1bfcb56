"""Listening sockets that several worker processes share one port with.

The launcher binds them, one for each worker, and keeps them open: what is queued on a socket outlives the worker that
should have taken it, and the worker's replacement takes it instead.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from gateway.config import Config
from gateway.core.errors import SetupError

_BACKLOG = 2048


@dataclass(frozen=True, slots=True)
class Listening:
    """What one worker listens on: a socket for each protocol."""

    http: socket.socket
    grpc: socket.socket

    @classmethod
    def bound(cls, config: Config) -> Listening:
        """Sockets of a worker that is alone.

        Raises:
            SetupError: a port is taken, or an address is not this machine's.
        """
        return for_workers(config, 1)[0]

    @classmethod
    def inherited(cls, http: int, grpc: int) -> Self:
        """The sockets that a parent process passed on, by their file descriptors."""
        return cls(socket.socket(fileno=http), socket.socket(fileno=grpc))

    def addresses(self, config: Config) -> dict[str, str]:
        """The "host:port" of each protocol, the host as it was configured."""
        return {
            "http": f"{config.http.host}:{self.http.getsockname()[1]}",
            "grpc": f"{config.grpc.host}:{self.grpc.getsockname()[1]}",
        }

    def descriptors(self) -> dict[str, int]:
        """The file descriptor of each protocol."""
        return {"http": self.http.fileno(), "grpc": self.grpc.fileno()}

    def close(self) -> None:
        """Let go of both; whoever inherited them keeps them."""
        self.http.close()
        self.grpc.close()


def for_workers(config: Config, count: int) -> list[Listening]:
    """Sockets for `count` workers, on the same two ports.

    Raises:
        SetupError: a port is taken, or an address is not this machine's.
    """
    https = share(config.http.host, config.http.port, "http.port", count)
    try:
        grpcs = share(config.grpc.host, config.grpc.port, "grpc.port", count)
    except SetupError:
        _close(https)
        raise
    return [Listening(http, grpc) for http, grpc in zip(https, grpcs, strict=True)]


def share(host: str, port: int, key: str, count: int) -> list[socket.socket]:
    """`count` listening sockets on one port; the kernel spreads new connections over them.

    The first is bound without SO_REUSEPORT and gets it afterwards: bound with it, a second gateway would share the port
    of the first unnoticed, and each would get half of the other's requests.

    Args:
        host: address to listen on.
        port: port to listen on; 0 takes a free one, the same for all.
        key: the configuration key of the port, for the error that names it.
        count: how many.

    Raises:
        SetupError: the port is taken, or the address is not this machine's.
    """
    found = [bind(host, port, key)]
    if count == 1:
        return found
    found[0].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    address = (host, found[0].getsockname()[1])
    try:
        while len(found) < count:
            more = socket.create_server(address, family=found[0].family, backlog=_BACKLOG, reuse_port=True)
            found.append(_quick(more))
    except OSError as error:
        _close(found)
        raise SetupError(f"{key}: {count} workers cannot share port {address[1]} on {host}: {error.strerror}") from None
    return found


def bind(host: str, port: int, key: str) -> socket.socket:
    """A listening socket, on IPv4 or IPv6 as `host` says.

    Raises:
        SetupError: the port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return _quick(socket.create_server((host, port), family=family, backlog=_BACKLOG))
    except PermissionError:
        raise SetupError(f"port {port} ({key}) needs more rights than this user has; set one above 1023") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise SetupError(f"port {port} ({key}) on {host} is in use; stop what uses it, or set another") from None
        raise SetupError(f"{key}: cannot listen on {host}: {error.strerror}") from None


def _quick(listening: socket.socket) -> socket.socket:
    """Small replies leave at once: what is accepted inherits this, and not every event loop sets it."""
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _close(sockets: Iterable[socket.socket]) -> None:
    for one in sockets:
        one.close()
