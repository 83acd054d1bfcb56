"""Asking each endpoint, again and again, which models it has ready: who answers is well."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from gateway.core.call import Call, Operation, Protocol
from gateway.core.deadline import Deadline
from gateway.core.errors import DeadlineExceeded, GatewayError, UpstreamUnavailable
from gateway.upstreams.base import Upstream
from gateway.upstreams.health import Outcome
from gateway.upstreams.placement import Ready, ready_models

_log = logging.getLogger("gateway.upstreams")

_JSON = ((b"content-type", b"application/json"),)
_ONLY_READY = b'{"ready":true}'


async def check(http: Upstream, timeout: float) -> tuple[Outcome, Ready | None]:
    """Ask one Triton which models it has ready.

    Args:
        http: how it is asked.
        timeout: seconds that it has for the answer.

    Returns:
        Whether it answers, and the ready model versions if it says so.
    """
    call = Call(
        Protocol.HTTP,
        Operation.REPOSITORY_INDEX,
        b"POST /v2/repository/index",
        "",
        "",
        "check",
        _JSON,
        _ONLY_READY,
        len(_ONLY_READY),
        Deadline.after(timeout),
    )
    try:
        async with asyncio.timeout(timeout):  # also for an upstream that forgets the deadline
            reply = await http.infer(call)
    except UpstreamUnavailable:
        return Outcome.UNREACHABLE, None
    except (TimeoutError, DeadlineExceeded):
        return Outcome.SILENT, None
    except GatewayError:  # the connection broke, or there was no room: somebody is there
        return Outcome.SILENT, None
    if reply.status >= 500:
        return Outcome.UNWELL, None
    return Outcome.ANSWERED, ready_models(reply.body) if reply.status == 200 else None


class Rounds:
    """One task for each thing that is looked at again and again.

    Args:
        seconds: how long to wait between two looks.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._tasks: dict[object, asyncio.Task[None]] = {}

    def begin(self, key: object, look: Callable[[], Awaitable[None]]) -> None:
        """Run `look` every so many seconds, the first time after one wait."""
        self._tasks[key] = asyncio.get_running_loop().create_task(self._repeat(look))

    async def end(self, key: object) -> None:
        """Stop running what was begun under `key`."""
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def aclose(self) -> None:
        """Stop them all."""
        for key in tuple(self._tasks):
            await self.end(key)

    async def _repeat(self, look: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(self.seconds)
            try:
                await look()
            except Exception:
                # A bug in one look must not end the checks, or a dead Triton would never be noticed.
                _log.exception("a check failed")
