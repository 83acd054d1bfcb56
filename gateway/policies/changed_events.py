"""The client of a stream of events, who gets them changed."""

from __future__ import annotations

from typing import Protocol

from gateway.core.call import Body, ClientStream


class Lines(Protocol):
    """What changes events, whatever the pieces are that they come in."""

    def feed(self, piece: Body) -> bytes:
        """The events that are complete by now, changed."""
        ...

    def rest(self) -> bytes:
        """What is left at the end."""
        ...


class ChangedEvents:
    """A client's end.

    Args:
        client: the real one.
        lines: changes what it gets.
    """

    __slots__ = ("_client", "_lines", "receive", "start")

    def __init__(self, client: ClientStream, lines: Lines) -> None:
        self._client, self._lines = client, lines
        self.receive, self.start = client.receive, client.start

    async def send(self, message: Body) -> None:
        """Give the client a piece, as far as its events are complete."""
        if complete := self._lines.feed(message):
            await self._client.send(complete)

    async def finish(self) -> None:
        """Give the client what is left at the stream's end."""
        if rest := self._lines.rest():
            await self._client.send(rest)
