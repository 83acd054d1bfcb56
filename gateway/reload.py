"""A configuration that changes while the gateway runs: what can be applied at once, and when to look again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.config import Config
from gateway.section import Section

_LOOK_SECONDS = 0.5

_LIVE = frozenset(
    {
        "limits",
        "balance",
        "admin",
        "recording",
        "traffic.aliases",
        "traffic.only_public",
        "traffic.routes",
        "traffic.tenant_header",
        "traffic.trusted_proxies",
        "upstreams",
        "http.max_body_bytes",
        "http.access_log",
        "grpc.max_message_bytes",
    }
)
"""Sections and keys that take effect without a restart; the others decide what is started, and where it listens."""

Signature = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Change:
    """What a new configuration means for a gateway that runs.

    Attributes:
        config: what holds from now on: the old configuration, with what can change.
        applied: the dotted keys that changed.
        waiting: the dotted keys that differ and need a restart.
    """

    config: Config
    applied: tuple[str, ...]
    waiting: tuple[str, ...]


def change(running: Config, wanted: Config) -> Change:
    """Decide what of `wanted` takes effect while the gateway runs with `running`."""
    # With external Tritons or with the embedded one: that decides what is started.
    live = _LIVE if bool(running.upstreams) == bool(wanted.upstreams) else _LIVE - {"upstreams"}
    differing = _differing(running, wanted)
    applied = tuple(key for key in differing if key in live or key.partition(".")[0] in live)
    return Change(_with(running, wanted, applied), applied, tuple(key for key in differing if key not in applied))


def _differing(old: Config, new: Config) -> list[str]:
    keys = []
    for name in Config.model_fields:
        before, after = getattr(old, name), getattr(new, name)
        if isinstance(before, Section):
            fields = type(before).model_fields
            keys += [f"{name}.{field}" for field in fields if getattr(before, field) != getattr(after, field)]
        elif before != after:
            keys.append(name)
    return keys


def _with(running: Config, wanted: Config, keys: tuple[str, ...]) -> Config:
    for key in keys:
        name, _, field = key.partition(".")
        value = getattr(wanted, name)
        if field:
            value = getattr(running, name).model_copy(update={field: getattr(value, field)})
        running = running.model_copy(update={name: value})
    return running


class ConfigFile:
    """The file that the gateway was started with.

    Args:
        path: the file; None where there is none, which never changes.
        read: reads it again, with everything that was said on the command line.
    """

    def __init__(self, path: Path | None, read: Callable[[], Config]) -> None:
        self.path = path
        self.read = read
        self._asked = asyncio.Event()
        self._seen = self._signature()

    def look_again(self) -> None:
        """Let `changed` return at once, whether the file has changed or not."""
        self._asked.set()

    async def changed(self) -> None:
        """Wait until the file is another than when this was called last, and nobody is writing it any more."""
        before = self._seen
        while not self._asked.is_set():
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._asked.wait()
            except TimeoutError:
                now = self._signature()
                if now != self._seen and now == before:  # it has been still since the last look
                    break
                before = now
        self._asked.clear()
        self._seen = self._signature()

    def _signature(self) -> Signature | None:
        """What changes with the file; None while it is not there."""
        if self.path is None:
            return None
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
