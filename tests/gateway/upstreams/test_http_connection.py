import asyncio

import pytest

from gateway.core.call import Reply
from gateway.core.errors import UpstreamBroken
from gateway.upstreams.http_connection import HttpConnection


class FakeTransport(asyncio.Transport):
    """Remembers what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.aborted = False

    def writelines(self, lines: object) -> None:
        self.written += b"".join(lines)  # type: ignore[arg-type]

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
    connection = HttpConnection(lost.append)
    connection.connection_made(transport)
    return connection


async def started(connection: HttpConnection) -> asyncio.Task[Reply]:
    task = asyncio.create_task(connection.exchange(b"HEAD", b"BODY"))
    await asyncio.sleep(0)
    return task


async def test_an_answer_may_come_byte_by_byte(connection: HttpConnection, transport: FakeTransport) -> None:
    exchange = await started(connection)
    for byte in b"HTTP/1.1 404 Not Found\r\nX-Y: z\r\nContent-Length: 3\r\n\r\nabc":
        assert not exchange.done()
        connection.data_received(bytes([byte]))
    assert await exchange == Reply(404, ((b"x-y", b"z"), (b"content-length", b"3")), b"abc")
    assert transport.written == b"HEADBODY"
    assert connection.reusable


async def test_bytes_that_nobody_asked_for_end_the_connection(
    connection: HttpConnection, transport: FakeTransport
) -> None:
    connection.data_received(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    assert transport.aborted
    with pytest.raises(UpstreamBroken):
        await connection.exchange(b"", b"")


async def test_losing_it_fails_the_exchange_and_is_told(connection: HttpConnection, lost: list[HttpConnection]) -> None:
    exchange = await started(connection)
    connection.connection_lost(ConnectionResetError())
    with pytest.raises(UpstreamBroken, match="may have been executed"):
        await exchange
    assert lost == [connection]
    assert not connection.reusable


async def test_giving_up_closes_it(connection: HttpConnection, transport: FakeTransport) -> None:
    exchange = await started(connection)
    exchange.cancel()
    with pytest.raises(asyncio.CancelledError):
        await exchange
    assert transport.aborted
    assert not connection.reusable
