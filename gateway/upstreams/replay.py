"""A client's stream that can be served again, from its beginning, as long as nothing has become of it."""

from __future__ import annotations

from gateway.core.call import Body, ClientStream, Metadata


class Replay:
    """Passes everything on, and keeps the first message until a second one is asked for or the stream is on.

    Args:
        client: the stream.

    Attributes:
        untouched: whether another upstream could still serve it as if it were the first.
    """

    def __init__(self, client: ClientStream) -> None:
        self.untouched = True
        self._client = client
        self._kept: list[Body | None] = []  # the first message, as long as it may be needed once more
        self._again: list[Body | None] = []  # the same, to be received once more

    def rewind(self) -> None:
        """Let the next upstream receive the first message again."""
        self._again = list(self._kept)

    async def receive(self) -> Body | None:
        """The client's next message."""
        if self._again:
            return self._again.pop()
        if self._kept:
            self._touch()
        message = await self._client.receive()
        if self.untouched:
            self._kept.append(message)
        return message

    async def start(self, metadata: Metadata) -> None:
        """Say that the stream is on."""
        self._touch()
        await self._client.start(metadata)

    async def send(self, message: Body) -> None:
        """Give the client one message."""
        await self._client.send(message)

    def _touch(self) -> None:
        self.untouched = False
        self._kept.clear()
