"""Waits until a gateway that runs has done what a change of its repository asks for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.status import Status

from gateway.commands.running import followed_status
from gateway.config import Config
from gateway.core.errors import ModelRefused, SetupError
from gateway.repository import drops, record
from gateway.repository.holdings import fingerprint_of

T = TypeVar("T")

_POLL_SECONDS = 0.2
_GONE_SECONDS = 10.0  # for a control process to be started again


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a change.

    Attributes:
        name: the model.
        version: that is served, or was to be; None where a gateway gives the number later.
        state: "served", "published" where no gateway runs, "uploaded" to an object store, or "failed".
        reason: why it failed.
    """

    name: str
    version: int | None
    state: str
    reason: str = ""


def unfollowed(name: str, version: int) -> Outcome:
    """A change of a repository that no running gateway follows."""
    return Outcome(name, version, "published", "no gateway follows this repository now")


class Follower:
    """Follows one model until it is as the folder says.

    Args:
        config: the configuration, which says where the gateway and the repository are.
        console: where progress is shown.
        name: the model.
    """

    def __init__(self, config: Config, console: Console, name: str) -> None:
        self._config, self._console, self._name = config, console, name
        self._folder = config.repository.path / name

    def until_published(self, drop: Path) -> int:
        """Wait until a drop was taken.

        Returns:
            The version that it became.

        Raises:
            ModelRefused: it was refused, or somebody took it away.
            SetupError: the gateway went away.
        """
        mark = drops.mark(drops.signature([drop]))

        def look(model: dict[str, Any], shown: Status) -> int | None:
            if not drop.exists():
                served = self._served()
                if served is None:
                    raise ModelRefused(f"{self._name}: somebody took {drop} away before it was published")
                return served
            if model.get("state") == "refused" and model.get("mark", mark) == mark and model.get("drop"):
                raise ModelRefused(model["reason"])  # without the mark it might be an earlier drop's
            shown.update(f"{self._name}: {model.get('step') or 'waiting for the gateway to notice it'}")
            return None

        return self._wait(look)

    def until_served(self, version: int) -> Outcome:
        """Wait until every Triton that holds the model serves this version, or says why not.

        Raises:
            SetupError: the gateway went away.
        """

        def look(model: dict[str, Any], shown: Status) -> Outcome | None:
            sites = model.get("sites", {})
            waits = next((site["reason"] for site in sites.values() if site["state"] == "waiting"), "")
            shown.update(f"{self._name}: loading version {version}{waits and f' ({waits})'}")
            if sites and all(site["state"] == "ready" and version in site["versions"] for site in sites.values()):
                return Outcome(self._name, version, "served")
            if model.get("state") == "refused" and not model.get("drop"):
                return Outcome(self._name, version, "failed", model["reason"])
            if model.get("fingerprint") != self._fingerprint():
                return None  # the gateway has not noticed the change yet
            failed = [f"{name}: {site['reason']}" for name, site in sites.items() if _has_failed(site)]
            return Outcome(self._name, version, "failed", "; ".join(failed)) if failed else None

        return self._wait(look)

    def until_gone(self) -> None:
        """Wait until no Triton has the model any more.

        Raises:
            SetupError: the gateway went away.
        """

        def look(model: dict[str, Any], shown: Status) -> bool | None:
            shown.update(f"{self._name}: unloading")
            return None if model.get("sites") or model.get("fingerprint") else True

        self._wait(look)

    def _served(self) -> int | None:
        found = record.read(self._folder)
        return found.served if found else None

    def _fingerprint(self) -> str:
        try:
            return fingerprint_of(self._folder)
        except OSError:
            return ""  # it is just being exchanged

    def _wait(self, look: Callable[[dict[str, Any], Status], T | None]) -> T:
        try:
            return self._look_again_and_again(look)
        except KeyboardInterrupt:
            self._console.print(
                f"the gateway goes on with {self._name}; `triton-gateway models show {self._name}` tells how it went",
                soft_wrap=True,
            )
            raise

    def _look_again_and_again(self, look: Callable[[dict[str, Any], Status], T | None]) -> T:
        seen = time.monotonic()
        with self._console.status(f"{self._name}: waiting for the gateway") as shown:
            while True:
                told = followed_status(self._config)
                if told is not None:
                    seen = time.monotonic()
                    result = look(told["models"].get(self._name, {}), shown)
                    if result is not None:
                        return result
                elif time.monotonic() - seen > _GONE_SECONDS:
                    raise SetupError("the gateway went away; start it again, and it goes on where it stopped")
                time.sleep(_POLL_SECONDS)


def _has_failed(site: Mapping[str, Any]) -> bool:
    """Whether it was tried as it is now; a failure of what was there before has no tries any more."""
    return bool(site["state"] == "failed" and site["tries"])
