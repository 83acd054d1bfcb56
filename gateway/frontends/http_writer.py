"""The writing half of a client's connection: what is sent, how fast the client reads, and when its time is up."""

from __future__ import annotations

import asyncio
import time
from typing import cast

from gateway.alarm import NEVER
from gateway.core.call import Body, Reply
from gateway.frontends import http_reply
from gateway.frontends.http_shared import Shared
from gateway.frontends.peer import address_of

_SMALL = 16 * 2**10  # a reply of fewer bytes is copied behind its head: cheaper than a second buffer for the kernel


class WritingConnection(asyncio.BufferedProtocol):
    """A connection as far as it writes.

    Args:
        shared: what it has in common with others.

    Attributes:
        due: when `ring` is to be called.
        gone: whether the client is.
        paused: whether the client reads too slowly for more.
        peer: the client's address.
        answering: whether anything of the reply under way has been sent.
    """

    __slots__ = ("_drained", "_unsent", "answering", "due", "gone", "paused", "peer", "shared", "transport")

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.transport: asyncio.Transport
        self.due = NEVER
        self.gone = False
        self.paused = False
        self.peer = ""
        self.answering = False
        self._drained: asyncio.Future[None] | None = None
        self._unsent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one without inheriting from it
        self.peer = address_of(transport)
        self.shared.connections.add(self)
        self.shared.alarm.add(self)
        self.wait_idle()

    def connection_lost(self, error: Exception | None) -> None:
        """The client is gone."""
        del error
        self.gone = True
        self.shared.lose(self)
        self.shared.alarm.discard(self)
        self._go_on()

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self.paused = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self.paused = False
        self._go_on()

    def write(self, *parts: Body) -> None:
        """Send parts of a reply; large ones are not copied."""
        self.answering = True
        if len(parts) == 1:
            self.transport.write(parts[0])
        else:
            self.transport.writelines(parts)

    def write_reply(self, reply: Reply, request_id: str, lines: bytes, bodiless: bool = False) -> None:
        """Send a whole reply.

        Args:
            reply: what to answer.
            request_id: goes with it.
            lines: further header lines, such as what becomes of the connection.
            bodiless: whether the head alone is sent, as HEAD wants it.
        """
        head, body = http_reply.head(reply, request_id, lines), reply.body
        if not body or bodiless:
            self.write(head)
        elif len(body) <= _SMALL:
            self.write(head + body)
        else:
            self.write(head, body)

    async def flushed(self, due: float) -> None:
        """Wait until the client has read enough for more; one that has not by then is cut off."""
        if not self.paused or self.gone:
            return
        self._drained = asyncio.get_running_loop().create_future()
        self.wait(due)
        try:
            await self._drained
        finally:
            self._drained = None
            self.due = NEVER

    def close(self) -> None:
        """End it once what was written is sent."""
        self.transport.close()
        self._watch_unsent()

    def abort(self) -> None:
        """End it at once."""
        self.transport.abort()

    def wait(self, due: float) -> None:
        """Have `ring` called then, and at no other time."""
        self.due = due
        if due < self.shared.alarm.at:
            self.shared.alarm.expect(due)

    def wait_idle(self) -> None:
        """The client may take its time, but not for ever."""
        self.wait(time.monotonic() + self.shared.current.serving.limits.idle_seconds)

    def ring(self) -> None:
        """The time has come; here, of a client that should have read what was sent."""
        if self.transport.get_write_buffer_size() < self._unsent:
            self._watch_unsent()  # it reads, if slowly
        else:
            self.due = NEVER
            self.transport.abort()

    def _watch_unsent(self) -> None:
        self._unsent = self.transport.get_write_buffer_size()
        self.wait_idle()

    def _go_on(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
