"""What was decided of traffic beside the configuration, in a file that outlives the processes.

One control process has the file. It is written as a whole or not at all, and only its owner can read it.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from atomic.exchange import sync
from gateway.traffic.snapshot import Snapshot

MOST_CHANGES = 20
_MOST_ALIAS_CHANGES = 200
_VERSION = 1
_LOOK_SECONDS = 0.05

_log = logging.getLogger("gateway.traffic")


class Change(Struct, frozen=True):
    """One thing that was changed.

    Attributes:
        at: when, in seconds since 1970.
        who: who did it, as far as that is known; "canary" for what the numbers decided.
        what: what was done, for people.
        why: the reason that was given.
        before: weights by hand that a rollback brings back; empty for none by hand.
        undoes: for a rollback, how many changes before this one in the history is the one that it undoes; 0 for others.
    """

    at: float
    who: str
    what: str
    why: str = ""
    before: dict[str, float] = {}
    undoes: int = 0


class AliasChange(Struct, frozen=True):
    """One alias that was changed; the attributes are those of `Change`, and the alias' name."""

    name: str
    at: float
    who: str
    what: str
    why: str = ""


class RouteState(Struct):
    """What is remembered of one route.

    Attributes:
        of: the digest of the section that it was decided for.
        weights: percent by target, as set by hand; empty for those of the configuration.
        epoch: the window that is counted now; empty for none.
        since: when it began, in seconds since 1970.
        windows: how many were begun by hand.
        canary: the canary's state; None for a route without one.
        counted: what was counted in the window, as `Tally.as_dict` gives it.
        history: the last changes, the latest last.
    """

    of: str
    weights: dict[str, float] = {}
    epoch: str = ""
    since: float = 0.0
    windows: int = 0
    canary: dict[str, Any] | None = None
    counted: dict[str, Any] = {}
    history: list[Change] = []

    def note(self, change: Change) -> None:
        """Add to the history."""
        self.history = [*self.history, change][-MOST_CHANGES:]


class AliasState(Struct, frozen=True):
    """An alias as set by hand.

    Attributes:
        of: what the configuration said when it was set; empty for nothing.
        to: what it means; empty: it is taken away.
    """

    of: str
    to: str


class Remembered(Struct):
    """All of it.

    Attributes:
        version: of this format.
        snapshot: what data workers were told last.
        told: number of the last line for people.
        routes: by label.
        aliases: by name; only those that differ from the configuration.
        alias_history: the last changes of aliases, the latest last.
    """

    version: Literal[1] = 1
    snapshot: Snapshot = Snapshot()
    told: int = 0
    routes: dict[str, RouteState] = {}
    aliases: dict[str, AliasState] = {}
    alias_history: list[AliasChange] = []

    def note(self, change: AliasChange) -> None:
        """Add to the history of aliases."""
        self.alias_history = [*self.alias_history, change][-_MOST_ALIAS_CHANGES:]


class _Format(Struct):
    version: int = 0


def claim(path: Path, patience: float) -> int:
    """Have the file for this process alone, until the descriptor is closed or the process ends.

    Args:
        path: the file.
        patience: seconds to wait, blocking, for another process that has it and is about to end.

    Returns:
        a descriptor that holds the lock.

    Raises:
        BlockingIOError: another process has it.
        OSError: nothing can be written beside it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                raise
            time.sleep(_LOOK_SECONDS)
        else:
            return descriptor


def load(path: Path) -> Remembered:
    """What the file says. One that cannot be understood is set aside, and the configuration holds."""
    content = b""
    try:
        content = path.read_bytes()
        return msgspec.json.decode(content, type=Remembered)
    except FileNotFoundError:
        return Remembered()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        aside = path.with_name(f"{path.name}.{'newer' if _is_newer(content) else 'damaged'}")
        what = "was written by a newer gateway" if _is_newer(content) else f"is damaged ({error})"
        _log.error(
            "%s %s and is set aside as %s: the configuration's weights hold, and canaries begin anew",
            path, what, aside.name,
        )  # fmt: skip
        _set_aside(path, aside)
    return Remembered()


def _is_newer(content: bytes) -> bool:
    try:
        return msgspec.json.decode(content, type=_Format).version > _VERSION
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def save(path: Path, remembered: Remembered) -> None:
    """Write the file: after a crash there is the old content or the new one.

    Raises:
        OSError: it could not be written; the old content is there.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)  # or it would keep the permissions that it has
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:  # noqa: PTH123
        file.write(msgspec.json.encode(remembered))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync(path.parent)


def _set_aside(path: Path, aside: Path) -> None:
    try:
        path.replace(aside)
    except OSError as error:
        _log.error("%s could not be set aside (%s)", path, error.strerror)
