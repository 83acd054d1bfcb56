"""An upstream without a Triton, for tests and for developing clients: same interface, same contract tests.

It answers in the protocol's own form: one model whose inference echoes the request's body, and Triton's words for
everything it does not know.
"""

from __future__ import annotations

import asyncio
import json

from gateway.core.call import Call, Operation, Protocol, Reply
from gateway.core.errors import DeadlineExceeded, UpstreamUnavailable
from gateway.wire import status

_HTTP_JSON = ((b"content-type", b"application/json"),)


class FakeUpstream:
    """Serves one model, version "1".

    Args:
        model: its name.

    Attributes:
        calls: every call that came, in order.
        gate: cleared, calls wait (within their deadline) until it is set.
    """

    def __init__(self, model: str = "echo") -> None:
        self.model = model
        self.calls: list[Call] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._closed = False

    async def infer(self, call: Call) -> Reply:
        """Answer as Triton would, or raise as `Upstream.infer` says."""
        if self._closed:
            raise UpstreamUnavailable("Triton cannot be reached; try again shortly")
        self.calls.append(call)
        try:
            async with asyncio.timeout(call.deadline.remaining()):
                await self.gate.wait()
        except TimeoutError:
            raise DeadlineExceeded("the request's time was up before Triton answered") from None
        if call.model and (call.model != self.model or call.version not in ("", "1")):
            return self._unknown(call)
        if call.operation is Operation.INFER:
            return Reply(200 if call.protocol is Protocol.HTTP else 0, body=call.body)
        if call.protocol is Protocol.HTTP:
            return Reply(200, _HTTP_JSON, json.dumps({"name": self.model, "versions": ["1"]}).encode())
        return Reply(0, body=b"\x0a" + bytes([len(self.model)]) + self.model.encode())

    async def aclose(self) -> None:
        """Refuse everything from now on."""
        self._closed = True

    def _unknown(self, call: Call) -> Reply:
        version = f" version {call.version}" if call.version else ""
        message = f"Request for unknown model: '{call.model}'{version} is not found"
        if call.protocol is Protocol.GRPC:
            return Reply(status.NOT_FOUND, message=message)
        if call.operation is Operation.MODEL_READY:
            return Reply(400, _HTTP_JSON, b'{"error":"Model version not ready"}')
        return Reply(404, _HTTP_JSON, json.dumps({"error": message}).encode())
