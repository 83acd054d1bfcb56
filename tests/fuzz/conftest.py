"""A gateway on a thread of its own, so that examples can be tried one after another with plain sockets."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, settings

from gateway.app import DataPlane
from gateway.config import load
from gateway.upstreams.fake import FakeUpstream

SECONDS = 5.0  # in which whoever has said all must be answered, and the connection closed

SOAK = bool(os.environ.get("FUZZ_EXAMPLES"))

fuzzed = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "150")),
    deadline=None,
    derandomize=not SOAK,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
"""How much is tried: the same each time, and something new with FUZZ_EXAMPLES=5000."""


@dataclass
class Fuzzed:
    """A gateway that is to survive.

    Attributes:
        http: its address.
        grpc: its address.
        complaints: what no client may cause: errors that nobody handled, and tracebacks in the log.
    """

    http: tuple[str, int] = ("", 0)
    grpc: tuple[str, int] = ("", 0)
    complaints: list[str] = field(default_factory=list)

    def send(self, address: tuple[str, int], *pieces: bytes, until: Callable[[bytes], bool] | None = None) -> bytes:
        """Send this and the end of what is said; gives everything that comes until the gateway closes.

        Args:
            address: where to.
            pieces: what is sent, one after another.
            until: of what has come; the end is sent only when this holds, or at once.
        """
        received = b""
        with socket.create_connection(address, timeout=SECONDS) as raw:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                for piece in pieces:
                    raw.sendall(piece)
                while until is not None and not until(received) and (piece := raw.recv(65536)):
                    received += piece
                raw.shutdown(socket.SHUT_WR)
                while piece := raw.recv(65536):
                    received += piece
            except TimeoutError:
                raise AssertionError(f"it neither answers nor closes; so far it said {received[:200]!r}") from None
            except OSError:  # it has closed before it read all
                pass
        return received


class _Complaints(logging.Handler):
    def __init__(self, complaints: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._complaints = complaints

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what tells of a bug."""
        if record.exc_info or record.levelno >= logging.ERROR:
            self._complaints.append(f"{record.name}: {record.getMessage()} {record.exc_info}")


@pytest.fixture(scope="module")
def gateway() -> Iterator[Fuzzed]:
    """Both front ends over the fake upstream, impatient."""
    config = load(
        None,
        (
            "http={host: 127.0.0.1, port: 0, max_body_bytes: 100000}",
            "grpc={host: 127.0.0.1, port: 0, max_message_bytes: 100000}",
            "limits={deadline_seconds: 2, head_seconds: 1, idle_seconds: 2, drain_seconds: 1}",
        ),
    )
    under_test, serving, stop = Fuzzed(), threading.Event(), asyncio.Event()
    loop = uvloop.new_event_loop()

    def complain(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        under_test.complaints.append(str(context))

    async def serve() -> None:
        loop.set_exception_handler(complain)
        async with DataPlane(config, FakeUpstream()) as plane:
            (host, _, http), grpc = plane.addresses["http"].rpartition(":"), plane.addresses["grpc"].rpartition(":")[2]
            under_test.http, under_test.grpc = (host, int(http)), (host, int(grpc))
            serving.set()
            await stop.wait()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as error:
            under_test.complaints.append(repr(error))
            raise
        finally:
            serving.set()
            loop.close()

    handler = _Complaints(under_test.complaints)
    logging.getLogger().addHandler(handler)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert serving.wait(10)
    assert not under_test.complaints
    yield under_test
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    logging.getLogger().removeHandler(handler)
    assert not thread.is_alive()
    assert not under_test.complaints


@pytest.fixture(autouse=True)
def no_complaints(gateway: Fuzzed) -> Iterator[None]:
    """The tests of a module fail where they have caused one."""
    yield
    assert not gateway.complaints
