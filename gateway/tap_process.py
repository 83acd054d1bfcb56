"""The tap process, as the launcher sees it: there only while something is recorded or compared."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.beside import Beside
from gateway.config import Config
from gateway.processes import Child
from gateway.traffic.sections import RouteSection

_STOP_SECONDS = 10.0  # to write what is not written yet, perhaps into an object store


class TapProcess:
    """Starts the process when the configuration needs it, keeps it alive, and ends it when nothing does any more.

    Args:
        config: what holds now.
        beside: what else holds.
        on_death: told its name, its exit status, and the seconds until its replacement starts.
        on_change: told that `status` is another.
    """

    def __init__(
        self,
        config: Callable[[], Config],
        beside: Callable[[], Beside],
        on_death: Callable[[str, int, float], None],
        on_change: Callable[[], None],
    ) -> None:
        self._config, self._beside, self._on_death, self._on_change = config, beside, on_death, on_change
        self._child: Child | None = None
        self._report: dict[str, Any] | None = None

    async def follow(self) -> None:
        """Start it, end it, or have it go by another configuration: whatever the present one calls for.

        Raises:
            SetupError: it cannot start.
        """
        config = self._config()
        if not is_needed(config):
            await self.stop()
        elif self._child is None:
            child = Child("tap", self._config, self._died, on_report=self._reported, beside=self._beside)
            await child.start()
            self._child = child
        else:
            self._child.mention({"config": config.model_dump(mode="json")})

    async def stop(self) -> None:
        """End it, if there is one."""
        child, self._child = self._child, None
        self._report = None
        if child is not None:
            await child.stop(_STOP_SECONDS)
            _clear(self._beside().places.tap)

    def status(self) -> dict[str, Any] | None:
        """What it reported last, with its process id; None while there is none."""
        return None if self._child is None else {"pid": self._child.pid, **(self._report or {})}

    def _died(self, status: int, delay: float) -> None:
        self._on_death("tap", status, delay)
        self._on_change()

    def _reported(self, report: dict[str, Any]) -> None:
        self._report = report
        self._on_change()


def _clear(socket: Path) -> None:
    """Take away what a process leaves that was killed."""
    socket.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # other things of this run are kept there, or nothing is there at all
        socket.parent.rmdir()


def is_needed(config: Config) -> bool:
    """Whether anything is recorded or compared."""
    return config.recording.folder is not None or any(_compares(route) for route in config.traffic.routes)


def _compares(route: RouteSection) -> bool:
    shadowed = route.canary is not None and route.canary.shadow_percent > 0
    return shadowed or any(mirror.compare is not None for mirror in route.mirrors)
