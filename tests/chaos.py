"""A TCP proxy that breaks: it stands in front of a real server and does to its connections what networks do.

What it does is one value, a `Fault`. `Chaos.fault` holds for every connection, also for those that are open, from its
next byte on; `Chaos.script` holds faults for the next connections, one each, which keep them.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from gateway.upstreams.fake_door import Door

_CHUNK = 64 * 2**10
_LINGER_0 = struct.pack("ii", 1, 0)  # close() sends RST and drops what was not sent


@dataclass(frozen=True)
class Fault:
    """What happens to a connection; the default is nothing.

    Bytes are counted on each connection from when the fault holds for it.

    Attributes:
        blackhole: nothing is passed on, in either direction, and nothing is closed.
        reset_on_accept: a new connection is reset at once.
        reset_after_request: reset once this many bytes of requests have come; they are not passed on.
        reset_after_reply: pass on this many bytes of replies, then reset.
        reset_on: reset instead of passing on a piece of a reply that holds these bytes.
        close_after_reply: pass on this many bytes of replies, then close in order: a truncated reply.
        half_close: pass requests on, and answer their first byte with the end of the stream, still reading.
        delay: seconds that each piece of a reply is held back.
        trickle: seconds between single bytes of replies; None passes on what comes as it comes.
        rewrite: what becomes of each piece of a reply.
    """

    blackhole: bool = False
    reset_on_accept: bool = False
    reset_after_request: int | None = None
    reset_after_reply: int | None = None
    reset_on: bytes | None = None
    close_after_reply: int | None = None
    half_close: bool = False
    delay: float = 0.0
    trickle: float | None = None
    rewrite: Callable[[bytes], bytes] | None = None


WELL = Fault()


def content_length(add: int) -> Callable[[bytes], bytes]:
    """A rewrite that makes each `content-length` wrong by `add` bytes."""

    def rewrite(piece: bytes) -> bytes:
        return re.sub(
            rb"(?i)(content-length: *)(\d+)", lambda found: found[1] + b"%d" % (int(found[2]) + add), piece, count=1
        )

    return rewrite


def grpc_length(add: int) -> Callable[[bytes], bytes]:
    """A rewrite that makes the length prefix of each gRPC message wrong by `add` bytes; frames must come whole."""

    def rewrite(piece: bytes) -> bytes:
        wrong, at = bytearray(piece), 0
        while at + 9 <= len(wrong):
            size, kind = int.from_bytes(wrong[at : at + 3], "big"), wrong[at + 3]
            if kind == 0 and size >= 5:  # DATA that starts with a message's prefix
                length = int.from_bytes(wrong[at + 10 : at + 14], "big")
                wrong[at + 10 : at + 14] = (length + add).to_bytes(4, "big")
            at += 9 + size
        return bytes(wrong)

    return rewrite


class Chaos:
    """A proxy in front of `upstream`, on a port of its own that it keeps.

    Args:
        upstream: "host:port" of the real server.
        fault: what holds for every connection at first.

    Attributes:
        fault: what holds for every connection now.
        script: what holds for each of the next connections.
        accepted: connections so far.
        address: "host:port" to connect to.
    """

    def __init__(self, upstream: str, fault: Fault = WELL) -> None:
        self.fault = fault
        self.script: deque[Fault] = deque()
        self.accepted = 0
        self._door = Door()
        self.address = self._door.address
        self._host, _, port = upstream.rpartition(":")
        self._port = int(port)
        self._links: set[_Link] = set()
        self._changed = asyncio.Condition()

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._links)

    async def listen(self) -> None:
        """Accept connections, always on the same port."""
        await self._door.open(self._connected)

    async def refuse(self) -> None:
        """Refuse new connections, and reset those that there are: the server is dead."""
        self._door.shut()
        self.reset()

    def reset(self) -> None:
        """Reset every connection that is open."""
        for link in list(self._links):
            link.reset()

    async def wait_open(self, count: int) -> None:
        """Wait until exactly `count` connections are open."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._links) == count)

    async def wait_accepted(self, count: int) -> None:
        """Wait until `count` connections have come since the start."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.accepted >= count)

    async def __aenter__(self) -> Chaos:
        await self.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.refuse()
        self._door.close()
        await asyncio.gather(*[link.ended.wait() for link in self._links])

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(self, reader, writer, self.script.popleft() if self.script else None)
        self.accepted += 1
        self._links.add(link)
        await self._notify()
        try:
            await link.run(self._host, self._port)
        finally:
            self._links.discard(link)
            link.ended.set()
            await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class _Link:
    """One connection from a client, and the one to the server that belongs to it."""

    def __init__(
        self, chaos: Chaos, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, own: Fault | None
    ) -> None:
        self.ended = asyncio.Event()
        self._chaos, self._own = chaos, own
        self._reader, self._writer = reader, writer
        self._counted_for: Fault | None = None
        self._asked = self._replied = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._half_closed = False

    def reset(self) -> None:
        """End both ways with RST towards the client."""
        raw: socket.socket | None = self._writer.get_extra_info("socket")
        if raw is None:  # closed by the other side, meanwhile
            return
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
        self._writer.transport.abort()
        for task in self._tasks:
            task.cancel()

    async def run(self, host: str, port: int) -> None:
        """Pass bytes on until either side has ended, or the fault says so."""
        if self._fault().reset_on_accept:
            self.reset()
            return
        try:
            reader, writer = await asyncio.open_connection(host, port)
        except OSError:
            self.reset()
            return
        self._tasks = [
            asyncio.create_task(self._requests(self._reader, writer)),
            asyncio.create_task(self._replies(reader, self._writer)),
        ]
        try:
            await asyncio.wait(self._tasks, return_when=asyncio.ALL_COMPLETED)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for end in (writer, self._writer):
                end.transport.abort() if end.is_closing() else end.close()
                with contextlib.suppress(OSError):
                    await end.wait_closed()

    def _fault(self) -> Fault:
        fault = self._own or self._chaos.fault
        if fault is not self._counted_for:
            self._counted_for, self._asked, self._replied = fault, 0, 0
        return fault

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(_CHUNK):
                fault = self._fault()
                self._asked += len(piece)
                if fault.blackhole:
                    continue
                if fault.reset_after_request is not None and self._asked >= fault.reset_after_request:
                    self.reset()
                    return
                writer.write(piece)
                await writer.drain()
                if fault.half_close and not self._half_closed:
                    self._half_closed = True
                    self._writer.write_eof()
        # The client has ended: nobody reads replies any more, so the server is told by a close of both ways.
        writer.close()
        self._tasks[1].cancel()

    async def _replies(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(_CHUNK):
                fault = self._fault()
                if fault.blackhole or self._half_closed:
                    continue
                if fault.reset_on is not None and fault.reset_on in piece:
                    self.reset()
                    return
                if fault.delay:
                    await asyncio.sleep(fault.delay)
                if not await self._pass_on(fault.rewrite(piece) if fault.rewrite else piece, fault, writer):
                    return
        writer.close()
        self._tasks[0].cancel()

    async def _pass_on(self, piece: bytes, fault: Fault, writer: asyncio.StreamWriter) -> bool:
        """Send a piece of a reply as the fault lets it through; whether the connection lives on."""
        limit = fault.reset_after_reply if fault.reset_after_reply is not None else fault.close_after_reply
        ends = limit is not None and self._replied + len(piece) >= limit
        if ends:
            piece = piece[: (limit or 0) - self._replied]
        self._replied += len(piece)
        if fault.trickle is None:
            writer.write(piece)
            await writer.drain()
        else:
            for at in range(len(piece)):
                writer.write(piece[at : at + 1])
                await writer.drain()
                await asyncio.sleep(fault.trickle)
        if ends and fault.reset_after_reply is not None:
            self.reset()
        elif ends:
            writer.close()
            self._tasks[0].cancel()
        return not ends
