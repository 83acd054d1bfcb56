"""The proxy does to a connection what it says, or what is proved with it is worth nothing."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

import pytest

from tests.chaos import Chaos, Fault, content_length, grpc_length

REPLY = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123456789"


class Server:
    """Answers each line with `REPLY`; knows what came and how connections ended."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.ended = 0
        self.address = ""

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                self.lines.append(line)
                writer.write(REPLY)
        self.ended += 1
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    behind = Server()
    listening = await asyncio.start_server(behind.connected, "127.0.0.1", 0)
    behind.address = f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    yield behind
    listening.close()


@pytest.fixture
async def chaos(server: Server) -> AsyncIterator[Chaos]:
    async with asyncio.timeout(20), Chaos(server.address) as proxy:
        yield proxy
    assert proxy.open == 0


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, chaos: Chaos) -> "Client":
        host, _, port = chaos.address.rpartition(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    async def ask(self, line: bytes = b"hello\n") -> bytes:
        self.writer.write(line)
        return await self.reader.readexactly(len(REPLY))

    async def rest(self, line: bytes = b"hello\n") -> tuple[bytes, str]:
        """What comes until the end, and which end it was."""
        received = b""
        with contextlib.suppress(ConnectionError):
            self.writer.write(line)
        while True:
            try:
                piece = await self.reader.read(4096)
            except ConnectionResetError:
                return received, "reset"
            if not piece:
                return received, "closed"
            received += piece

    def close(self) -> None:
        self.writer.transport.abort()


@pytest.fixture
async def client(chaos: Chaos) -> AsyncIterator[Client]:
    connected = await Client.connect(chaos)
    yield connected
    connected.close()


async def test_well_it_passes_everything_on_and_closes_both_ends(chaos: Chaos, client: Client, server: Server) -> None:
    assert [await client.ask(), await client.ask(b"again\n")] == [REPLY, REPLY]
    assert (server.lines, chaos.accepted, chaos.open) == ([b"hello\n", b"again\n"], 1, 1)
    client.close()
    await chaos.wait_open(0)
    while not server.ended:
        await asyncio.sleep(0)


async def test_refused_is_dead_for_old_and_new_until_it_listens_again(chaos: Chaos, client: Client) -> None:
    await client.ask()
    address = chaos.address
    await chaos.refuse()
    assert await client.rest() == (b"", "reset")
    with pytest.raises(ConnectionRefusedError):
        await Client.connect(chaos)
    await chaos.listen()
    assert chaos.address == address
    again = await Client.connect(chaos)
    assert await again.ask() == REPLY
    again.close()


async def test_reset_on_accept(chaos: Chaos, server: Server) -> None:
    chaos.fault = Fault(reset_on_accept=True)
    client = await Client.connect(chaos)
    assert await client.rest(b"") == (b"", "reset")
    client.close()
    assert server.lines == []


async def test_reset_within_the_request(chaos: Chaos, client: Client, server: Server) -> None:
    chaos.fault = Fault(reset_after_request=3)
    assert await client.rest() == (b"", "reset")
    assert server.lines == []


async def test_reset_within_the_reply(chaos: Chaos, client: Client) -> None:
    chaos.fault = Fault(reset_after_reply=20)
    assert await client.rest() == (REPLY[:20], "reset")


async def test_reset_on_a_certain_reply(chaos: Chaos, client: Client, server: Server) -> None:
    chaos.fault = Fault(reset_on=b"no such reply")
    assert await client.ask() == REPLY
    chaos.fault = Fault(reset_on=b"0123456789")
    assert await client.rest() == (b"", "reset")
    assert len(server.lines) == 2


async def test_bytes_are_counted_from_when_the_fault_holds(chaos: Chaos, client: Client) -> None:
    await client.ask()
    chaos.fault = Fault(reset_after_reply=20)
    assert await client.rest() == (REPLY[:20], "reset")


async def test_a_truncated_reply_ends_in_order(chaos: Chaos, client: Client, server: Server) -> None:
    chaos.fault = Fault(close_after_reply=45)
    assert await client.rest() == (REPLY[:45], "closed")
    assert server.lines == [b"hello\n"]


async def test_a_half_closed_connection_still_takes_requests(chaos: Chaos, client: Client, server: Server) -> None:
    chaos.fault = Fault(half_close=True)
    assert await client.rest() == (b"", "closed")
    client.writer.write(b"still there\n")
    while len(server.lines) < 2:
        await asyncio.sleep(0)
    assert server.lines == [b"hello\n", b"still there\n"]


async def test_a_black_hole_takes_everything_and_says_nothing(chaos: Chaos, client: Client, server: Server) -> None:
    chaos.fault = Fault(blackhole=True)
    client.writer.write(b"x" * 1000 + b"\n")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.reader.read(1)
    assert (server.lines, chaos.open) == ([], 1)


async def test_a_slow_reply_is_whole(chaos: Chaos, client: Client) -> None:
    chaos.fault, before = Fault(delay=0.05), time.monotonic()
    assert await client.ask() == REPLY
    assert time.monotonic() - before >= 0.05


async def test_a_trickling_reply_is_whole(chaos: Chaos, client: Client) -> None:
    chaos.fault = Fault(trickle=0.001)
    client.writer.write(b"hello\n")
    pieces: list[bytes] = []
    while len(b"".join(pieces)) < len(REPLY):
        pieces.append(await client.reader.read(4096))
    assert b"".join(pieces) == REPLY
    assert len(pieces) > len(REPLY) / 4, "the bytes came in many pieces, though some may have met on the way"


@pytest.mark.parametrize(("add", "says"), [(5, b"content-length: 15"), (-5, b"content-length: 5")])
async def test_a_wrong_length(chaos: Chaos, client: Client, add: int, says: bytes) -> None:
    chaos.fault = Fault(rewrite=content_length(add))
    client.writer.write(b"hello\n")
    head = await client.reader.readuntil(b"\r\n\r\n")
    assert says in head
    assert await client.reader.readexactly(10) == b"0123456789"


def test_a_wrong_grpc_length() -> None:
    headers = b"\x00\x00\x02\x01\x04\x00\x00\x00\x01ab"
    data = b"\x00\x00\x08\x00\x00\x00\x00\x00\x01" + b"\x00\x00\x00\x00\x03abc"
    rewrite: Callable[[bytes], bytes] = grpc_length(4)
    assert rewrite(headers + data) == headers + data.replace(b"\x03abc", b"\x07abc")


async def test_a_script_holds_for_single_connections(chaos: Chaos) -> None:
    chaos.script.append(Fault(reset_after_request=1))
    first, second = await Client.connect(chaos), await Client.connect(chaos)
    await chaos.wait_accepted(2)
    assert await first.rest() == (b"", "reset")
    assert await second.ask() == REPLY
    second.close()


async def test_a_dead_server_behind_it_is_told_as_a_reset(chaos: Chaos, server: Server) -> None:
    async with Chaos("127.0.0.1:1") as dead:
        client = await Client.connect(dead)
        with pytest.raises(ConnectionResetError):
            await client.reader.readexactly(1)
