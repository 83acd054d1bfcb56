import asyncio
import gc
import time
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.call import Reply
from gateway.core.errors import DeadlineExceeded, UpstreamBroken
from gateway.upstreams import http_head
from gateway.upstreams.http_connection import HttpConnection
from gateway.upstreams.http_turns import Turns


class FakeTransport(asyncio.Transport):
    """Remembers what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.unsent = 0
        self.aborted = False
        self.changes: list[str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.written += b"".join(list_of_data)

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None:
        self.changes.append("pause")

    def resume_reading(self) -> None:
        self.changes.append("resume")

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


@pytest.fixture
def lost() -> list[HttpConnection]:
    return []


@pytest.fixture
def transport() -> FakeTransport:
    return FakeTransport()


@pytest.fixture
def connection(lost: list[HttpConnection], transport: FakeTransport) -> HttpConnection:
    return made(lost, transport)


def made(lost: list[HttpConnection], transport: FakeTransport, turns: Turns | None = None) -> HttpConnection:
    connection = HttpConnection(lost.append, memoryview(bytearray(64)), http_head.parse, turns or Turns(2**20))
    connection.connection_made(transport)
    return connection


def receive(connection: HttpConnection, data: bytes) -> None:
    """As an event loop does it."""
    while data:
        room = connection.get_buffer(-1)
        size = min(len(room), len(data))
        room[:size] = data[:size]
        connection.buffer_updated(size)
        data = data[size:]


@pytest.mark.parametrize("size", [3, 30_000])
async def test_an_answer_may_come_byte_by_byte(connection: HttpConnection, transport: FakeTransport, size: int) -> None:
    body = b"b" * size
    answer = connection.ask(b"HEAD", body)
    for byte in b"HTTP/1.1 404 Not Found\r\nX-Y: z\r\nContent-Type: a/b\r\nContent-Length: %d\r\n\r\n" % size + body:
        assert not answer.done()
        receive(connection, bytes([byte]))
    assert await answer == Reply(404, ((b"content-type", b"a/b"),), body)
    assert transport.written == b"HEAD" + body
    assert connection.reusable


@given(st.lists(st.integers(1, 300), max_size=30), st.sampled_from([b"a" * 5, b"a" * 500]), st.booleans())
def test_any_cut_of_an_answer_is_the_same_answer(cuts: list[int], body: bytes, chunked: bool) -> None:
    async def attempt() -> None:
        connection = made([], FakeTransport())
        answer = connection.ask(b"HEAD", b"")
        wire = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
        if chunked:
            wire += b"Transfer-Encoding: chunked\r\n\r\n3\r\naaa\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body) - 3, body[3:])
        else:
            wire += b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        for cut in [*cuts, len(wire)]:
            receive(connection, wire[:cut])
            wire = wire[cut:]
        assert (await answer).body == body
        assert connection.reusable

    asyncio.run(attempt())


async def test_bytes_that_nobody_asked_for_end_the_connection(
    connection: HttpConnection, transport: FakeTransport
) -> None:
    receive(connection, b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    assert transport.aborted
    assert connection.closing


async def test_bytes_after_the_answer_end_it_too(connection: HttpConnection, transport: FakeTransport) -> None:
    answer = connection.ask(b"HEAD", b"")
    receive(connection, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1")
    assert (await answer).body == b"ok"
    assert transport.aborted
    assert not connection.reusable


async def test_an_answer_before_all_is_sent_is_the_last(connection: HttpConnection, transport: FakeTransport) -> None:
    answer = connection.ask(b"HEAD", b"x" * 100)
    transport.unsent = 50
    receive(connection, b"HTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n")
    assert (await answer).status == 413
    assert not connection.reusable


async def test_losing_it_fails_the_exchange_and_is_told(connection: HttpConnection, lost: list[HttpConnection]) -> None:
    answer = connection.ask(b"HEAD", b"")
    connection.connection_lost(ConnectionResetError())
    with pytest.raises(UpstreamBroken, match="may have been executed"):
        await answer
    assert lost == [connection]
    assert not connection.reusable


async def test_a_body_without_a_length_ends_with_the_connection(connection: HttpConnection) -> None:
    answer = connection.ask(b"HEAD", b"")
    receive(connection, b"HTTP/1.1 200 OK\r\n\r\nso far")
    assert not answer.done()
    assert not connection.eof_received()
    connection.connection_lost(None)
    assert (await answer).body == b"so far"


async def test_when_its_time_has_come_it_is_closed(connection: HttpConnection, transport: FakeTransport) -> None:
    answer = connection.ask(b"HEAD", b"")
    connection.due = time.monotonic()
    connection.ring()
    with pytest.raises(DeadlineExceeded):
        await answer
    assert transport.aborted


async def test_a_stream_waits_unread_beyond_a_bound(connection: HttpConnection, transport: FakeTransport) -> None:
    answer = connection.ask(b"HEAD", b"", collects=False)
    receive(connection, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert (await answer).status == 200
    assert connection.streaming
    receive(connection, b"20000\r\n" + b"x" * 70_000)
    assert transport.changes == ["pause"]
    assert await connection.more() == b"x" * 70_000
    assert transport.changes == ["pause", "resume"]
    receive(connection, b"x" * (0x20000 - 70_000) + b"\r\n0\r\n\r\n")
    assert len(await connection.more()) == 0x20000 - 70_000
    assert await connection.more() == b""
    assert connection.reusable


async def test_a_stream_that_breaks_gives_what_it_has_first(connection: HttpConnection) -> None:
    connection.ask(b"HEAD", b"", collects=False)
    receive(connection, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")
    connection.connection_lost(None)
    assert await connection.more() == b"ab"
    with pytest.raises(UpstreamBroken):
        await connection.more()


LARGE = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"


async def test_large_answers_are_received_in_turn(lost: list[HttpConnection]) -> None:
    turns, transports = Turns(500), [FakeTransport(), FakeTransport()]
    first, second = [made(lost, transport, turns) for transport in transports]
    answers = [connection.ask(b"GET / HTTP/1.1\r\n\r\n", b"") for connection in (first, second)]
    receive(first, LARGE + b"a" * 10)
    receive(second, LARGE + b"b" * 10)
    assert transports[1].changes == ["pause"]
    receive(first, b"a" * 990)
    assert (await answers[0]).body == b"a" * 1000
    await asyncio.sleep(0)
    assert transports[1].changes == ["pause", "resume"]
    receive(second, b"b" * 990)
    assert (await answers[1]).body == b"b" * 1000


async def test_the_next_turn_comes_after_the_answer_was_passed_on(lost: list[HttpConnection]) -> None:
    turns, waiting = Turns(500), FakeTransport()
    first, second = made(lost, FakeTransport(), turns), made(lost, waiting, turns)
    seen: list[list[str]] = []

    async def passing_on() -> None:
        await first.ask(b"GET / HTTP/1.1\r\n\r\n", b"")
        seen.append(list(waiting.changes))

    task = asyncio.create_task(passing_on())
    await asyncio.sleep(0)
    second.ask(b"GET / HTTP/1.1\r\n\r\n", b"")
    receive(first, LARGE)
    receive(second, LARGE)
    receive(first, b"a" * 1000)
    await task
    assert seen == [["pause"]]


async def test_a_turn_ends_with_its_connection(lost: list[HttpConnection]) -> None:
    turns, transports = Turns(500), [FakeTransport() for _ in range(3)]
    connections = [made(lost, transport, turns) for transport in transports]
    answers = [connection.ask(b"GET / HTTP/1.1\r\n\r\n", b"") for connection in connections]
    for connection in connections:
        receive(connection, LARGE)
    connections[1].connection_lost(None)  # before its turn
    connections[0].connection_lost(None)
    assert transports[2].changes == ["pause", "resume"]
    receive(connections[2], b"c" * 1000)
    assert (await answers[2]).body == b"c" * 1000
    for answer in answers[:2]:
        with pytest.raises(UpstreamBroken):
            await answer


async def test_a_connection_does_not_keep_its_last_answer(connection: HttpConnection) -> None:
    reply = connection.ask(b"GET / HTTP/1.1\r\n\r\n", b"")
    receive(connection, LARGE + b"a" * 1000)
    body = (await reply).body
    del reply
    await asyncio.sleep(0)
    gc.collect()
    assert not [each for each in gc.get_referrers(body) if isinstance(each, Reply)]
