"""Log what was asked and what came of it: the outermost policy, so that refusals and failures are seen too."""

from __future__ import annotations

import logging
import time
from typing import Literal

from gateway.core.call import Call, Protocol, Reply
from gateway.core.errors import GatewayError
from gateway.core.policy import Next

_log = logging.getLogger("gateway.access")


class Observe:
    """One line a request in the log `gateway.access`.

    Args:
        which: no requests, those that failed, or all.
    """

    def __init__(self, which: Literal["off", "failures", "all"]) -> None:
        self._which = which

    async def __call__(self, call: Call, proceed: Next) -> Reply:
        """Go on, and log how it went."""
        started = time.perf_counter()
        try:
            reply = await proceed(call)
        except GatewayError as error:
            self._write(call, type(error).__name__, error.message, started)
            raise
        failed = reply.status >= 400 if call.protocol is Protocol.HTTP else reply.status != 0
        if failed or self._which == "all":
            self._write(call, str(reply.status), reply.message if failed else "", started)
        return reply

    def _write(self, call: Call, outcome: str, message: str, started: float) -> None:
        if self._which == "off":
            return
        _log.info(
            "%s %s model=%r version=%r status=%s ms=%.1f bytes=%d request_id=%s%s",
            call.protocol.value,
            call.operation.value,
            call.model,  # quoted, because a gRPC client may write line ends into it
            call.version,
            outcome,
            1000 * (time.perf_counter() - started),
            len(call.body),
            call.request_id,
            f" error={message!r}" if message else "",
        )
