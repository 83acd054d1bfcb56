"""The client of a stream, as the rules of its route let it be heard and spoken to."""

from __future__ import annotations

import asyncio
from collections import deque

from gateway.core.call import Body, ClientStream, Metadata
from gateway.core.errors import DeadlineExceeded, RequestTooLarge
from gateway.wire import oip_grpc, oip_stream

_REMEMBERED = 1000  # requests of a stream without an answer whose time is watched


class Headed:
    """A client that hears other headers at a stream's beginning.

    Args:
        client: the client's end.
        added: headers that are set.
        gone: names of those that are not passed on.
    """

    __slots__ = ("_added", "_client", "_gone", "receive", "send")

    def __init__(self, client: ClientStream, added: Metadata, gone: frozenset[bytes]) -> None:
        self._client, self._added, self._gone = client, added, gone
        self.receive, self.send = client.receive, client.send

    async def start(self, metadata: Metadata) -> None:
        """Say that the stream is on."""
        await self._client.start((*[pair for pair in metadata if pair[0] not in self._gone], *self._added))


class Sized:
    """A client whose messages may not be too large.

    One that is too large is answered at once, and the stream goes on, as it does with every refusal of one message;
    unless the client wants to hear of errors by the end of the stream.

    Args:
        client: the client's end.
        most: bytes of a message.
        ends_on_error: whether an error is the end of the stream.
    """

    __slots__ = ("_client", "_ends_on_error", "_most", "send", "start")

    def __init__(self, client: ClientStream, most: int, ends_on_error: bool) -> None:
        self._client, self._most, self._ends_on_error = client, most, ends_on_error
        self.send, self.start = client.send, client.start

    async def receive(self) -> Body | None:
        """The client's next message that is not too large.

        Raises:
            RequestTooLarge: one is, and that ends the stream.
        """
        message = await self._client.receive()
        while message is not None and len(message) > self._most:
            error = too_large(len(message), self._most)
            if self._ends_on_error:
                raise error
            await self._client.send(oip_grpc.stream_error(error.message, oip_stream.request_id(message)))
            message = await self._client.receive()
        return message


class Timed:
    """A client each of whose requests may take so long until its first answer: a stream may live, an answer may not.

    Time in which the client does not read is not counted. That the client has said all is passed on when everything
    has been answered, because whoever has heard it does not ask again, and would not hear that the time is up.

    Args:
        client: the client's end.
        seconds: that a request may take.
    """

    __slots__ = ("_answered", "_asked", "_client", "_limit", "_now", "_seconds", "_unread", "start")

    def __init__(self, client: ClientStream, seconds: float) -> None:
        self._client, self._seconds = client, seconds
        self._now = asyncio.get_running_loop().time
        self._asked: deque[tuple[str, float]] = deque(maxlen=_REMEMBERED)  # each with when its time is up
        self._unread = 0.0  # seconds in which the client did not read
        self._limit: asyncio.Timeout | None = None  # of who waits in `receive`
        self._answered = asyncio.Event()
        self.start = client.start

    async def receive(self) -> Body | None:
        """The client's next message.

        Raises:
            DeadlineExceeded: a request has waited too long for its first answer.
        """
        try:
            async with asyncio.timeout(None) as self._limit:
                self._watch()
                message = await self._client.receive()
                while message is None and self._asked:
                    self._answered.clear()
                    await self._answered.wait()
        except TimeoutError:
            raise DeadlineExceeded("the model did not answer within its route's policies.timeout_seconds") from None
        finally:
            self._limit = None
        if message is not None:
            self._asked.append((oip_stream.request_id(message), self._now() - self._unread + self._seconds))
        return message

    async def send(self, message: Body) -> None:
        """Give the client one message."""
        answered = oip_stream.answer(message).request_id
        asked = next((each for each in self._asked if each[0] == answered), None)
        if asked is not None:
            self._asked.remove(asked)
            self._answered.set()
        began = self._now()
        self._reschedule(None)
        try:
            await self._client.send(message)
        finally:
            self._unread += self._now() - began
            self._watch()

    def _watch(self) -> None:
        self._reschedule(self._asked[0][1] + self._unread if self._asked else None)

    def _reschedule(self, when: float | None) -> None:
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(when)


def too_large(size: int, most: int) -> RequestTooLarge:
    """The refusal of a request of `size` bytes."""
    return RequestTooLarge(
        f"request of {size} bytes exceeds this route's maximum of {most} bytes; "
        "send less at a time, or have its policies.max_body_bytes raised"
    )
