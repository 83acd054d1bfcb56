"""The data workers, as the launcher sees them: one process for each, all on the same two ports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from gateway.beside import Beside
from gateway.config import Config
from gateway.processes import Child
from gateway.sockets import Listening, for_workers

_STOP_SECONDS = 2.0  # for a worker to end by itself after its own drain time

OnDeath = Callable[[str, int, float], None]


class Fleet:
    """Starts the workers, keeps each alive, and tells them what is new.

    Args:
        config: what they are configured with; called before every start of one.
        on_death: told a worker's name, its exit status, and the seconds until its replacement starts.
        on_change: told that `status` is another.
        beside: what else they are to know; as `Child` takes it.

    Raises:
        SetupError: a port is taken.

    Attributes:
        addresses: the "host:port" of each protocol.
    """

    def __init__(
        self,
        config: Callable[[], Config],
        on_death: OnDeath,
        on_change: Callable[[], None],
        beside: Callable[[], Beside] | None = None,
    ) -> None:
        self._config, self._on_death, self._on_change = config, on_death, on_change
        self._beside = beside or (lambda: Beside.first(config()))
        first = config()
        # Open for as long as the launcher lives: connections that wait for a worker outlive it.
        self._listening = for_workers(first, first.workers)
        self.addresses = self._listening[0].addresses(first)
        self._reports: dict[str, dict[str, Any]] = {}
        self._workers = [self._worker(slot, listening) for slot, listening in enumerate(self._listening)]

    async def start(self) -> None:
        """Start them all and wait until they serve.

        Raises:
            SetupError: one cannot start.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for worker in self._workers:
                    group.create_task(worker.start())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    def tell(self, config: Config) -> None:
        """Have them go by another configuration, or by what control has decided meanwhile."""
        message = {"config": config.model_dump(mode="json"), "beside": self._beside().as_dict()}
        for worker in self._workers:
            worker.mention(message)

    async def stop(self) -> None:
        """End them all at the same time, each as soon as its requests are finished."""
        for listening in self._listening:
            listening.close()  # or the port would look open after the workers have left it
        limits = self._config().limits
        seconds = limits.drain_delay_seconds + limits.drain_seconds + _STOP_SECONDS
        await asyncio.gather(*(worker.stop(seconds) for worker in self._workers))

    def status(self) -> list[dict[str, Any]]:
        """For each worker its name, its process id and what it reported last."""
        return [{"name": each.name, "pid": each.pid, **self._reports.get(each.name, {})} for each in self._workers]

    def _worker(self, slot: int, listening: Listening) -> Child:
        name = f"data-{slot}"

        def died(status: int, delay: float) -> None:
            self._reports.pop(name, None)
            self._on_death(name, status, delay)
            self._on_change()

        def reported(message: dict[str, Any]) -> None:
            self._reports[name] = message
            self._on_change()

        return Child(
            "data",
            self._config,
            died,
            self._on_change,
            name=name,
            sockets=listening.descriptors(),
            on_report=reported,
            beside=self._beside,
        )
