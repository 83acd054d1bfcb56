import asyncio
import math
import time

import pytest

from gateway.frontends.http import HttpFrontend
from gateway.frontends.http_shared import Shared
from gateway.frontends.http_writer import WritingConnection
from gateway.frontends.intake import Intake
from gateway.frontends.pages import pages
from tests.gateway.frontends.http_rig import Scripted, current


class Transport(asyncio.Transport):
    """Remembers what is written, and sends what it is told to."""

    def __init__(self) -> None:
        super().__init__({"peername": ("10.0.0.7", 40000)})
        self.written = b""
        self.unsent = 0
        self.aborts = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def close(self) -> None:
        """Sends what is left first."""

    def abort(self) -> None:
        self.aborts += 1


@pytest.fixture
async def transport() -> Transport:
    return Transport()


@pytest.fixture
async def connection(transport: Transport) -> WritingConnection:
    serves = current(Scripted(), "limits.idle_seconds=30")
    shared = Shared(HttpFrontend(serves, Intake(1000)), pages(), serves, ("127.0.0.1", 80))
    connection = WritingConnection(shared)
    assert connection.peer == ""
    connection.connection_made(transport)
    return connection


async def test_it_is_watched_from_its_beginning_to_its_end(connection: WritingConnection) -> None:
    assert time.monotonic() + 29 < connection.due <= connection.shared.alarm.at + 0.001
    assert connection in connection.shared.connections
    assert connection.peer == "10.0.0.7"
    connection.connection_lost(None)
    assert connection.gone
    assert connection not in connection.shared.connections
    connection.shared.alarm.close()


async def test_writing_waits_for_a_slow_reader_and_no_longer_than_it_may(connection: WritingConnection) -> None:
    await connection.flushed(due=0.0)  # nothing is in the way
    connection.pause_writing()
    waiting = asyncio.create_task(connection.flushed(due=time.monotonic() + 10))
    await asyncio.sleep(0)
    assert not waiting.done()
    assert connection.due < math.inf
    connection.resume_writing()
    await waiting
    assert connection.due == math.inf
    connection.shared.alarm.close()


async def test_nobody_waits_for_a_client_that_is_gone(connection: WritingConnection) -> None:
    connection.pause_writing()
    waiting = asyncio.create_task(connection.flushed(due=time.monotonic() + 10))
    await asyncio.sleep(0)
    connection.connection_lost(None)
    await waiting
    connection.shared.alarm.close()


async def test_a_client_that_reads_slowly_may_and_one_that_does_not_is_cut_off(
    connection: WritingConnection, transport: Transport
) -> None:
    transport.unsent = 100
    connection.close()
    transport.unsent = 99
    connection.ring()
    assert transport.aborts == 0
    connection.ring()
    assert transport.aborts == 1
    connection.shared.alarm.close()
