"""What is under way for mirrors: it outlives changes of the configuration, and is ended with the worker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from typing import Any

from gateway.traffic.breaker import Breaker
from gateway.traffic.measures import Why
from gateway.traffic.mirrors import Mirrors, Shadow

_log = logging.getLogger("gateway.mirror")


class Load:
    """What one shadow has of one worker.

    Attributes:
        copies: that are under way.
        held: bytes of them, with the originals' answers that are kept to compare.
        breaker: whether it is worth asking.
    """

    __slots__ = ("breaker", "copies", "held")

    def __init__(self) -> None:
        self.copies = 0
        self.held = 0
        self.breaker = Breaker()


class Lane:
    """The way to one shadow: what the configuration says of it now, and what it has under way.

    Args:
        shadow: who gets copies.
        load: what it has under way.

    Attributes:
        shadow: who gets copies.
        load: what it has under way.
        share: of the requests that are copied, from 0 to 1.
        compares: whether originals' answers are kept.
    """

    __slots__ = ("_drop_above", "_most_bytes", "_most_copies", "compares", "load", "shadow", "share")

    def __init__(self, shadow: Shadow, load: Load) -> None:
        self.shadow = shadow
        self.load = load
        self.share = shadow.percent / 100
        self.compares = shadow.compares
        self._drop_above = shadow.drop_above
        self._most_copies = shadow.most_in_flight
        self._most_bytes = shadow.most_bytes

    def refusal(self, clients: int, size: int, now: float) -> Why | None:
        """Why there is no copy of `size` bytes now; None if there is, which is then entered.

        Args:
            clients: their requests that are under way.
            size: bytes that the copy holds.
            now: seconds on a monotonic clock.
        """
        load = self.load
        if clients > self._drop_above:
            return "busy"
        if load.copies >= self._most_copies or load.held + size > self._most_bytes:
            return "full"
        if not load.breaker.admits(now):
            return "broken"
        load.copies += 1
        load.held += size
        return None

    def leave(self, size: int, known: bool) -> None:
        """A copy of `size` bytes has ended; `known` says whether it is known if the shadow answers."""
        self.load.copies -= 1
        self.load.held -= size
        if not known:
            self.load.breaker.abandoned()

    def answered(self) -> None:
        """The shadow answered, whatever it said."""
        if self.load.breaker.succeeded():
            _log.info("mirror %s of route %s answers again", self.shadow.name, self.shadow.route)

    def silent(self, why: str, now: float) -> None:
        """The shadow did not answer."""
        if self.load.breaker.failed(now):
            _log.warning(
                "mirror %s of route %s does not answer and is only tried now and then; clients notice nothing: %s",
                self.shadow.name,
                self.shadow.route,
                why,
            )


class Mirroring:
    """What one worker has under way for all mirrors.

    Attributes:
        clients: their requests that are under way where copies are made.
    """

    def __init__(self) -> None:
        self.clients = 0
        self._loads: dict[tuple[str, ...], Load] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def lanes(self, mirrors: Mirrors) -> Mapping[str, Mapping[str, tuple[Lane, ...]]]:
        """The ways to the shadows of `mirrors`, by route and variant; what was known of a shadow stays known."""
        old, self._loads = self._loads, {}
        return {
            route: {variant: tuple(self._lane(shadow, old) for shadow in shadows) for variant, shadows in found.items()}
            for route, found in mirrors.routes.items()
        }

    def start(self, copying: Coroutine[Any, Any, None]) -> None:
        """Have a copy made, beside everything else."""
        if self._closed:
            copying.close()
            return
        task = asyncio.create_task(copying, name="mirror")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Make no more copies, and give up those that are under way: nobody waits for them."""
        self._closed = True
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _lane(self, shadow: Shadow, old: Mapping[tuple[str, ...], Load]) -> Lane:
        key = shadow.key
        load = self._loads.get(key) or old.get(key) or Load()
        self._loads[key] = load
        return Lane(shadow, load)
