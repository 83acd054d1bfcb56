"""One client's ModelStreamInfer, sorted into lanes: one for each model, version and sequence.

Every message of the stream names its own model, and what is refused as a request must not be had by streaming it: so
each lane is a stream of its own through the chain of policies, and the responses of all lanes go to the one client.

- A lane begins with its first message. It ends when the client has said all, or with the end of its sequence.
- A lane that fails tells the client so, once for each request that is lost, and the stream goes on (Triton's own way),
  unless the client asked for gRPC errors: then the stream ends with the status. The next message of the same kind opens
  a new lane.
- When another configuration or other weights hold, a lane whose requests have all had their first answer is followed by
  a new one, so that an open stream does not hold on to rules and targets that are gone. Not so a sequence, nor a client
  that never waits for an answer.
- Everything has a bound: lanes, messages that wait in one, their bytes, requests that are remembered. Who comes to a
  bound is read no further, which the client feels as flow control, or is told so.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from gateway.core.call import Body, Call, ClientStream, Metadata, Reply
from gateway.core.errors import ClientGone, GatewayError, InvalidRequest, Overloaded, UpstreamBroken
from gateway.frontends.intake import Intake
from gateway.frontends.serving import Current, Serving
from gateway.wire import oip_grpc, oip_stream, status
from gateway.wire.redact import redact

_log = logging.getLogger("gateway.grpc")

PATH = f"/{oip_grpc.SERVICE}/ModelStreamInfer"

_QUEUED = 4  # messages that wait in a lane: enough to keep it busy, few enough for the client to feel that it is slow
_REMEMBERED = 1000  # requests of a lane without an answer that are named to the client when they are lost

# Of a decoupled model Triton says "more follows" also behind what turns out to be the last response, unless the client
# asked for an empty final one. So a request here may be complete, and telling of too many would be noise.
_BEGUN = 64
_SHOWN = 200  # characters of a request's id

_Key = tuple[str, str, str | None]


class _StreamEnded(Exception):
    """One lane's failure is the end of the whole stream: the client asked for it."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.message)
        self.reply = reply


class _Owed:
    """The requests of a lane whose answers are not complete, oldest first; the oldest are forgotten above a bound."""

    def __init__(self) -> None:
        self._asked: deque[str] = deque(maxlen=_REMEMBERED)
        self._begun: deque[str] = deque(maxlen=_BEGUN)  # answered in part, as far as Triton says

    def ask(self, request_id: str) -> None:
        self._asked.append(request_id[:_SHOWN])

    def answer(self, request_id: str, more: bool) -> None:
        request_id = request_id[:_SHOWN]
        if self._begun and request_id in self._begun:
            if not more:
                self._begun.remove(request_id)
        elif request_id in self._asked:
            self._asked.remove(request_id)
            if more:
                self._begun.append(request_id)

    @property
    def settled(self) -> bool:
        """Whether every request has had its first answer."""
        return not self._asked

    def all(self) -> list[str]:
        return [*self._begun, *self._asked]


class _Lane:
    """What the chain sees as the client of one lane.

    Args:
        send: gives the client a message.
        hold: counts bytes that wait in the lane.

    Attributes:
        owed: what the client still waits for.
        closing: whether no more messages will come.
        said_all: whether the chain has been told so.
        ended: whether nobody reads the lane any more.
        serving: what it is served with.
    """

    def __init__(self, send: Callable[[Body], Awaitable[None]], hold: Callable[[int], None], serving: Serving) -> None:
        self.serving = serving
        self._send = send
        self._hold = hold
        self._queue: asyncio.Queue[Body | None] = asyncio.Queue(_QUEUED)
        self.owed = _Owed()
        self.closing = self.said_all = self.ended = False

    async def put(self, message: Body, request_id: str) -> None:
        """Give the lane a message; waits while it is full.

        Raises:
            Overloaded: the gateway has no room for it.
        """
        self._hold(len(message))
        self.owed.ask(request_id)
        await self._put(message)

    async def close(self) -> None:
        """Say that no more messages come."""
        if not self.closing:
            self.closing = True
            await self._put(None)

    async def _put(self, message: Body | None) -> None:
        await self._queue.put(message)
        if self.ended:  # while this waited for room; the client has been told
            self.end()

    def end(self) -> None:
        """Throw away what nobody will read, and let go who waits for room."""
        self.ended = True
        while not self._queue.empty():
            self._hold(-len(self._queue.get_nowait() or b""))

    async def receive(self) -> Body | None:
        if self.said_all:
            return None
        message = await self._queue.get()
        if message is None:
            self.said_all = True
        else:
            self._hold(-len(message))
        return message

    async def start(self, metadata: Metadata) -> None:
        """Nothing: the client's stream is on since its first moment."""

    async def send(self, message: Body) -> None:
        request_id, more, error = oip_stream.answer(message)
        self.owed.answer(request_id, more)
        if error and (said := redact(error)) != error:
            message = oip_stream.with_error(message, said)
        await self._send(message)


class Lanes:
    """One client's stream.

    Args:
        current: what each lane is served with; read when it opens, because a stream may outlive a configuration.
        client: the client's end.
        call: what all lanes have in common: everything but model, version and sequence.
        intake: what the gateway holds.
        most: lanes that may be open at a time.
    """

    def __init__(self, current: Current, client: ClientStream, call: Call, intake: Intake, most: int = 64) -> None:
        self._current = current
        self._client = client
        self._call = call
        self._intake = intake
        self._most = most
        self._ends_on_error = (b"triton_grpc_error", b"true") in call.metadata
        self._lanes: dict[_Key, _Lane] = {}
        self._running = 0  # lanes, with those that only have to tell their client what was lost
        self._vacated = asyncio.Event()
        self._sending = asyncio.Lock()
        self._held = 0

    async def run(self) -> Reply:
        """Serve the stream until the client has said all and every lane has ended.

        Raises:
            ClientGone: the client went away.
        """
        await self._client.start(())
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._sort(tasks)
        except ExceptionGroup as failed:
            first = failed.exceptions[0]  # it ended all the others
            if isinstance(first, _StreamEnded):
                return first.reply
            raise first from None
        finally:
            self._hold(-self._held)
        return Reply(status.OK)

    async def _sort(self, tasks: asyncio.TaskGroup) -> None:
        """Give each message to its lane."""
        while (message := await self._client.receive()) is not None:
            try:
                head = oip_grpc.read_head(PATH, message, self._current.serving.admin.shared_memory)
                lane = await self._lane(head, tasks)
                await lane.put(message, head.request_id)
            except (InvalidRequest, Overloaded) as error:
                await self._tell(status.grpc_reply(error), [oip_stream.request_id(message)[:_SHOWN]])
                continue
            if head.sequence is not None and head.sequence.end:
                await lane.close()
        for lane in list(self._lanes.values()):
            await lane.close()

    async def _lane(self, head: oip_grpc.Head, tasks: asyncio.TaskGroup) -> _Lane:
        """The lane of a message, a new one if need be.

        Raises:
            Overloaded: there are too many, and none is about to end.
        """
        key = (head.model, head.version, head.sequence.id if head.sequence is not None else None)
        while True:
            lane = self._lanes.get(key)
            if lane is not None and lane.serving is not self._current.serving and key[2] is None and lane.owed.settled:
                del self._lanes[key]  # it goes on until what it has begun to answer is complete
                await lane.close()
                lane = None
            if lane is None and self._running < self._most:
                return self._open(key, head, tasks)
            if lane is not None and not lane.closing:
                return lane
            # A sequence whose id comes again waits for the one before, so that Triton sees them in this order.
            if lane is None and self._running == sum(not lane.closing for lane in self._lanes.values()):
                raise Overloaded(
                    f"this stream has {self._most} models and sequences open, and no room for one more; "
                    "end sequences with sequence_end, or use another stream"
                )
            self._vacated.clear()
            await self._vacated.wait()

    def _open(self, key: _Key, head: oip_grpc.Head, tasks: asyncio.TaskGroup) -> _Lane:
        lane = self._lanes[key] = _Lane(self._send, self._hold, self._current.serving)
        call = replace(self._call, model=head.model, version=head.version, sequence=head.sequence)
        self._running += 1
        tasks.create_task(self._serve(key, lane, call), name="gRPC lane")
        return lane

    async def _serve(self, key: _Key, lane: _Lane, call: Call) -> None:
        """Serve one lane to its end, and tell the client what it lost."""
        try:
            try:
                reply = await self._ask(call, lane)
            finally:
                if self._lanes.get(key) is lane:
                    del self._lanes[key]
                lane.end()
                self._vacated.set()
            if reply.status == status.OK and not lane.said_all:
                reply = status.grpc_reply(
                    UpstreamBroken("Triton ended the stream before it had answered; send it again")
                )
            if reply.status != status.OK:
                await self._tell(reply, lane.owed.all())
        finally:
            self._running -= 1
            self._vacated.set()

    async def _ask(self, call: Call, lane: _Lane) -> Reply:
        try:
            return await lane.serving.chain.stream(call, lane)
        except ClientGone:
            raise
        except GatewayError as error:
            return status.grpc_reply(error)
        except Exception as error:
            _log.exception("a stream of request %s failed inside the gateway", call.request_id)
            return status.grpc_reply(error)

    async def _tell(self, reply: Reply, lost: list[str]) -> None:
        """Tell the client of requests that failed; where there are none, it has all that it asked for."""
        if lost and self._ends_on_error:
            raise _StreamEnded(reply)
        for request_id in lost:
            await self._send(oip_grpc.stream_error(reply.message, request_id))

    async def _send(self, message: Body) -> None:
        async with self._sending:
            await self._client.send(message)

    def _hold(self, size: int) -> None:
        """Count bytes that wait in lanes; less than none gives them back.

        Raises:
            Overloaded: there is no room for them.
        """
        if size > 0:
            self._intake.take(size)
        elif size:
            self._intake.give(-size)
        self._held += size
