"""What has come in and is not answered yet: counted over both protocols, bounded, waited for when a worker stops."""

from __future__ import annotations

import asyncio

from gateway.core.errors import Overloaded, ShuttingDown


class Intake:
    """The requests that one worker holds.

    Args:
        max_bytes: most bytes of their bodies at a time.

    Attributes:
        leaving: whether readiness is false, so that load balancers send their requests elsewhere.
        closed: whether new requests are refused.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.leaving = False
        self.closed = False
        self._requests = 0
        self._bytes = 0
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def requests(self) -> int:
        """How many requests are not answered yet."""
        return self._requests

    @property
    def bytes_held(self) -> int:
        """How many bytes of bodies they hold."""
        return self._bytes

    def enter(self) -> None:
        """One request more; each that enters must `leave`.

        Raises:
            ShuttingDown: new work is refused.
        """
        if self.closed:
            raise ShuttingDown("this gateway is stopping and takes no new requests; try again, it is being replaced")
        if not self._requests:
            self._empty.clear()
        self._requests += 1

    def leave(self) -> None:
        """One request is answered, or given up."""
        self._requests -= 1
        if not self._requests:
            self._empty.set()

    def take(self, size: int) -> None:
        """Make room for `size` bytes of a body; give them back with `give`. A body alone always has room.

        Raises:
            Overloaded: there is none.
        """
        if self._bytes and self._bytes + size > self.max_bytes:
            raise Overloaded(
                f"the gateway holds {self._bytes} bytes of requests and has no room for {size} more; "
                "try again shortly, or have limits.max_buffered_bytes raised"
            )
        self._bytes += size

    def give(self, size: int) -> None:
        """Return room that was taken."""
        self._bytes -= size

    def leave_soon(self) -> None:
        """Turn readiness false; new requests are still taken, because some are on their way."""
        self.leaving = True

    def close(self) -> None:
        """Refuse new requests from now on."""
        self.leaving = self.closed = True

    async def emptied(self) -> None:
        """Wait until every request that entered has left."""
        await self._empty.wait()
