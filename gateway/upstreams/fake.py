"""An upstream without a Triton, for tests and for developing clients: same interface, same contract tests.

It answers in the protocol's own form: models whose inference echoes the request's body, Triton's words for what it does
not know, and whatever goes wrong when a script says so. `fake_triton.py` serves it over real sockets.
"""

from __future__ import annotations

import asyncio
import json

from gateway.core.call import INFERENCE, Body, Call, ClientStream, Metadata, Operation, Protocol, Reply
from gateway.core.errors import DeadlineExceeded, UpstreamBroken, UpstreamUnavailable
from gateway.upstreams.fake_faults import (
    Fail,
    Fault,
    HalfClose,
    Refuse,
    Reset,
    Script,
    Slow,
    Truncate,
    WrongLength,
    follow,
)
from gateway.wire import status
from gateway.wire.protobuf import length_delimited

_JSON = ((b"content-type", b"application/json"),)
_EVENTS = ((b"content-type", b"text/event-stream"),)
_BROKEN = "the connection to Triton broke before its answer was complete; the request may have been executed"


class Spoiled(UpstreamBroken):
    """An answer that is spoiled on its way: the interface says that it broke, a socket can show how.

    Attributes:
        fault: what spoils it.
        reply: what the answer was.
    """

    def __init__(self, fault: HalfClose | Truncate | WrongLength, reply: Reply) -> None:
        super().__init__(_BROKEN)
        self.fault = fault
        self.reply = reply


class FakeUpstream:
    """Serves models, version "1" of each.

    Args:
        model: the name of the first.
        script: what happens to inferences, one after the other and then from the start again; or a function that says
            what happens to any call.
        responses: how many messages a stream answers to one request (decoupled models answer none, one or many).

    Attributes:
        calls: every call that was sent to it, in order.
        gate: cleared, calls wait (within their deadline) until it is set.
        down: set, it refuses every call as if it were not running.
        ready: the names of the models that it has; loading and unloading changes them.
        sequences: the (model, id) of the sequences that were started and not ended.
    """

    def __init__(self, model: str = "echo", script: Script = (), responses: int = 1) -> None:
        self.model = model
        self.responses = responses
        self.calls: list[Call] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.down = False
        self.ready = {model}
        self.sequences: set[tuple[str, str]] = set()
        self._closed = False
        self._fault = follow(script)

    async def infer(self, call: Call) -> Reply:
        """Answer as Triton would, or raise as `Upstream.infer` says."""
        fault = await self._begin(call)
        if isinstance(fault, Reset):
            raise _broken()
        reply = self._refusal(call, fault) or self._answer(call)
        if isinstance(fault, HalfClose | Truncate | WrongLength):
            raise Spoiled(fault, reply)
        return reply

    async def stream(self, call: Call, client: ClientStream) -> Reply:
        """Echo every message so many times as Triton would, or raise as `Upstream.stream` says."""
        fault = await self._begin(call)
        refusal = self._refusal(call, fault)
        if refusal is not None:
            return refusal
        left = fault.after if isinstance(fault, Reset) else 0 if isinstance(fault, HalfClose | Truncate) else -1
        if call.protocol is Protocol.HTTP:
            await client.start(_EVENTS)
            await self._echo(client, b"data: " + call.body + b"\n\n", left)
            return Reply(200, _EVENTS)
        await client.start(())
        try:
            async with asyncio.timeout(call.deadline.remaining()):
                while (message := await client.receive()) is not None:
                    left = await self._echo(client, message, left)
        except TimeoutError:
            raise DeadlineExceeded("the request's time was up before the stream had ended") from None
        return Reply(status.OK)

    async def aclose(self) -> None:
        """Refuse everything from now on."""
        self._closed = True

    async def _begin(self, call: Call) -> Fault:
        """What is to happen to `call`, after the time that it takes."""
        if self._closed or self.down:
            raise _unavailable()
        if call.deadline.expired:
            raise DeadlineExceeded("the request's time was up before it was sent")
        fault = self._fault(call)
        if isinstance(fault, Refuse):
            raise _unavailable()
        self.calls.append(call)
        try:
            async with asyncio.timeout(call.deadline.remaining()):
                await self.gate.wait()
                if isinstance(fault, Slow):
                    await (asyncio.Event().wait() if fault.seconds is None else asyncio.sleep(fault.seconds))
        except TimeoutError:
            raise DeadlineExceeded("the request's time was up before Triton answered") from None
        return fault

    async def _echo(self, client: ClientStream, message: Body, left: int) -> int:
        for _ in range(self.responses):
            if not left:
                raise _broken()
            await client.send(message)
            left -= 1
        if not left:
            raise _broken()
        return left

    def _refusal(self, call: Call, fault: Fault) -> Reply | None:
        """Triton's error for `call`, if it is one."""
        if isinstance(fault, Fail):
            return _error(call, fault.status, fault.message)
        if call.operation in (Operation.LOAD_MODEL, Operation.UNLOAD_MODEL):
            return None
        if call.model and (call.model not in self.ready or call.version not in ("", "1")):
            return _unknown(call)
        if call.sequence is None or self._knows_sequence(call):
            return None
        message = (
            f"inference request for sequence {call.sequence.id} to model '{call.model}' must specify the START flag "
            "on the first request of the sequence"
        )
        return _error(call, 400 if call.protocol is Protocol.HTTP else status.INVALID_ARGUMENT, message)

    def _knows_sequence(self, call: Call) -> bool:
        """Whether the sequence of `call` was started, perhaps with it."""
        if call.sequence is None:
            return True
        key = (call.model, call.sequence.id)
        known = call.sequence.start or key in self.sequences
        if call.sequence.start:
            self.sequences.add(key)
        if call.sequence.end:
            self.sequences.discard(key)
        return known

    def _answer(self, call: Call) -> Reply:
        if call.operation in INFERENCE:
            return Reply(200 if call.protocol is Protocol.HTTP else status.OK, body=call.body)
        if call.operation is Operation.LOAD_MODEL:
            self.ready.add(call.model)
        elif call.operation is Operation.UNLOAD_MODEL:
            self.ready.discard(call.model)
        if call.protocol is Protocol.HTTP:
            return Reply(200, _JSON, self._json(call))
        return Reply(status.OK, body=self._message(call))

    def _json(self, call: Call) -> bytes:
        rows = [{"name": model, "version": "1", "state": "READY"} for model in sorted(self.ready)]
        if call.operation is Operation.REPOSITORY_INDEX:
            return json.dumps(rows).encode()
        if call.operation is Operation.MODEL_STATISTICS:
            count = sum(known.operation in INFERENCE for known in self.calls)
            row = {"name": call.model or self.model, "version": "1", "inference_count": count}
            return json.dumps({"model_stats": [row]}).encode()
        return json.dumps({"name": call.model or self.model, "versions": ["1"]}).encode()

    def _message(self, call: Call) -> bytes:
        if call.operation in (Operation.SERVER_LIVE, Operation.SERVER_READY, Operation.MODEL_READY):
            return b"\x08\x01"  # field 1: true
        if call.operation is Operation.REPOSITORY_INDEX:
            rows = [
                length_delimited(1, model.encode()) + length_delimited(2, b"1") + length_delimited(3, b"READY")
                for model in sorted(self.ready)
            ]
            return b"".join(length_delimited(1, row) for row in rows)
        if call.operation in (Operation.LOAD_MODEL, Operation.UNLOAD_MODEL):
            return b""
        if call.operation is Operation.MODEL_STATISTICS:
            return length_delimited(
                1, length_delimited(1, (call.model or self.model).encode()) + length_delimited(2, b"1")
            )
        return length_delimited(1, (call.model or self.model).encode())


class FakeClient:
    """A client's end of a stream, for tests.

    Args:
        messages: what it says, before it has said all.

    Attributes:
        metadata: what the stream started with; None before that.
        received: what it was sent.
    """

    def __init__(self, *messages: Body) -> None:
        self.metadata: Metadata | None = None
        self.received: list[Body] = []
        self._messages = iter(messages)

    async def receive(self) -> Body | None:
        """The next message."""
        return next(self._messages, None)

    async def start(self, metadata: Metadata) -> None:
        """The stream is on."""
        self.metadata = metadata

    async def send(self, message: Body) -> None:
        """Take one message."""
        self.received.append(message)


def _unknown(call: Call) -> Reply:
    version = f" version {call.version}" if call.version else ""
    message = f"Request for unknown model: '{call.model}'{version} is not found"
    if call.protocol is Protocol.GRPC:
        return _error(call, status.NOT_FOUND, message)
    if call.operation is Operation.MODEL_READY:
        return _error(call, 400, "Model version not ready")
    return _error(call, 404, message)


def _error(call: Call, code: int, message: str) -> Reply:
    if call.protocol is Protocol.GRPC:
        return Reply(code, message=message)
    return Reply(code, _JSON, json.dumps({"error": message}, separators=(",", ":")).encode())


def _unavailable() -> UpstreamUnavailable:
    return UpstreamUnavailable("Triton cannot be reached; try again shortly")


def _broken() -> UpstreamBroken:
    return UpstreamBroken(_BROKEN)
