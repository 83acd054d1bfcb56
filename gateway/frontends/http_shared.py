"""What the connections of one HTTP listener have in common."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from gateway.alarm import Alarm
from gateway.frontends.asgi import Asgi
from gateway.frontends.http import HttpFrontend
from gateway.frontends.serving import Current

_SCRATCH = 64 * 2**10  # bytes of one read
_GRAIN = 0.05  # seconds that a time limit of a client may be late


class Connection(Protocol):
    """A connection as its listener sees it."""

    def close(self) -> None:
        """End it once what was written is sent."""
        ...

    def abort(self) -> None:
        """End it at once."""
        ...


@dataclass(slots=True)
class Shared:
    """One for each listener.

    Attributes:
        frontend: answers requests.
        pages: the application for paths outside the protocol.
        current: where the limits are.
        server: host and port that are listened on.
        alarm: watches all connections.
        scratch: where reads land, for as long as it takes to look at them.
        draining: whether every reply is the last one of its connection.
        connections: all that are open.
        orphans: tasks of connections that are lost, until they have ended.
        busy: how many connections have a request under way.
        quiet: set when none has any more, while draining.
        empty: set when there is no connection any more, while draining.
    """

    frontend: HttpFrontend
    pages: Asgi
    current: Current
    server: tuple[str, int]
    alarm: Alarm = field(default_factory=lambda: Alarm(_GRAIN))
    scratch: memoryview = field(default_factory=lambda: memoryview(bytearray(_SCRATCH)))
    draining: bool = False
    connections: set[Connection] = field(default_factory=set)
    orphans: set[asyncio.Task[None]] = field(default_factory=set)
    busy: int = 0
    quiet: asyncio.Event = field(default_factory=asyncio.Event)
    empty: asyncio.Event = field(default_factory=asyncio.Event)

    def drain(self) -> None:
        """From now on every reply is the last one of its connection."""
        self.draining = True
        if not self.busy:
            self.quiet.set()
        if not self.connections:
            self.empty.set()

    def lose(self, connection: Connection) -> None:
        """A connection has ended."""
        self.connections.discard(connection)
        if self.draining and not self.connections:
            self.empty.set()

    def rest(self) -> None:
        """One connection has no request under way any more."""
        self.busy -= 1
        if self.draining and not self.busy:
            self.quiet.set()
