"""Log what was asked and what came of it: the outermost policy, so that refusals and failures are seen too."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Literal

from gateway.core.call import Call, ClientStream, Protocol, Reply
from gateway.core.errors import GatewayError
from gateway.core.policy import Next, NextStream

_log = logging.getLogger("gateway.access")


_LINES_A_SECOND = 10  # of each kind; a model that is down under load would otherwise fill the log with one sentence
_SHOWN = 200  # characters of an error


class Observe:
    """One line a request in the log `gateway.access`; of many alike in one second the first, and how many followed.

    Args:
        which: no requests, those that failed, or all.
        now: seconds of a monotonic clock.
    """

    def __init__(self, which: Literal["off", "failures", "all"], now: Callable[[], float] = time.perf_counter) -> None:
        self._which = which
        self._now = now
        self._second = 0
        self._counts: Counter[str] = Counter()

    async def __call__(self, call: Call, proceed: Next) -> Reply:
        """Go on, and log how it went."""
        return await self._observed(call, proceed(call))

    async def stream(self, call: Call, client: ClientStream, proceed: NextStream) -> Reply:
        """The same, once the stream has ended."""
        return await self._observed(call, proceed(call, client))

    async def _observed(self, call: Call, going_on: Awaitable[Reply]) -> Reply:
        started = self._now()
        try:
            reply = await going_on
        except GatewayError as error:
            self._write(call, type(error).__name__, error.message, started, error.variant)
            raise
        failed = reply.status >= 400 if call.protocol is Protocol.HTTP else reply.status != 0
        if failed:
            said = reply.message or reply.body[:_SHOWN].decode("utf-8", "replace")
            self._write(call, str(reply.status), said[:_SHOWN], started, reply.variant)
        elif self._which == "all":
            self._write(call, str(reply.status), "", started, reply.variant)
        return reply

    def _write(self, call: Call, outcome: str, error: str, started: float, variant: str) -> None:
        if self._which == "off":
            return
        now = self._now()
        # Quoted, because a gRPC client may write line ends into them.
        kind = (
            f"{call.protocol.value} {call.operation.value} "
            f"model={call.model[:_SHOWN]!r} version={call.version[:_SHOWN]!r}"
            f"{f' target={variant}' if variant else ''} status={outcome}"
        )
        if self._which == "failures" and not self._admits(kind, int(now)):
            return
        _log.info(
            "%s ms=%.1f bytes=%d request_id=%s%s",
            kind,
            1000 * (now - started),
            len(call.body),
            call.request_id,
            f" error={error!r}" if error else "",
        )

    def _admits(self, kind: str, second: int) -> bool:
        """Whether one more line of this kind is worth it; tells of those that were not once their second is over."""
        if second != self._second:
            for seen, count in self._counts.items():
                if count > _LINES_A_SECOND:
                    _log.info("%s: %d more like it within a second", seen, count - _LINES_A_SECOND)
            self._second = second
            self._counts.clear()
        self._counts[kind] += 1
        return self._counts[kind] <= _LINES_A_SECOND
