"""Notices when a repository changes, and when it has come to rest."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import os
import re
import time
from collections.abc import AsyncGenerator
from pathlib import Path

from watchfiles import awatch

from gateway.repository.drops import INBOX, OURS, SOURCE

_DROPS = (INBOX.parts, SOURCE.parts)
"""Where the gateway itself works, only these are news."""
_LOOK_MILLISECONDS = 200
_SWEEP_SECONDS = 30.0  # what the kernel did not tell, because too much changed at once, is found then
_POLL_MILLISECONDS = 1000
_REMOTE = re.compile(r"nfs|cifs|smb|fuse|9p|ceph|lustre|gluster|afs|virtiofs")
"""File systems that do not tell what other machines change."""


class Watcher:
    """Follows one folder with everything in it.

    Args:
        folder: the repository.
        settle_seconds: how long nothing of an entry may have changed before it counts as at rest.
    """

    def __init__(self, folder: Path, settle_seconds: float) -> None:
        self._folder, self._settle = folder, settle_seconds
        self._changed: dict[str, float] = {}  # top-level entry -> when it changed last
        self._stop = asyncio.Event()

    @property
    def restless(self) -> frozenset[str]:
        """The entries that changed and have not come to rest yet."""
        return frozenset(self._changed)

    def entry_of(self, path: os.PathLike[str]) -> str:
        """The name under which a path below the folder is told of; empty for the folder itself and for our own work."""
        parts = Path(path).relative_to(self._folder).parts
        if parts[:1] == (OURS,):
            return "/".join(parts[:3]) if parts[:2] in _DROPS and len(parts) > 2 else ""
        return parts[0] if parts else ""

    def touch(self, entry: str) -> None:
        """Count an entry as changed just now."""
        self._changed[entry] = time.monotonic()

    async def settled(self) -> AsyncGenerator[frozenset[str]]:
        """The names of top-level entries that changed and came to rest; at first and once in a while all at rest.

        A drop in the inbox is told of as `.triton-gateway/inbox/NAME`. Other hidden entries are told of as well: what
        they mean is the caller's business.

        Raises:
            OSError: the folder cannot be read, or is gone, or another one came in its place.
        """
        root = self._identity()
        changes = awatch(
            self._folder,
            step=_LOOK_MILLISECONDS // 2,
            debounce=_LOOK_MILLISECONDS,
            rust_timeout=_LOOK_MILLISECONDS,
            yield_on_timeout=True,
            force_polling=is_remote(self._folder),
            poll_delay_ms=_POLL_MILLISECONDS,
            stop_event=self._stop,
            ignore_permission_denied=True,
            watch_filter=None,
        )
        swept = -math.inf
        async with contextlib.aclosing(changes) as events:
            async for batch in events:
                if self._identity() != root:
                    raise FileNotFoundError(errno.ENOENT, "another folder came in its place", str(self._folder))
                now = time.monotonic()
                for _, path in batch:
                    self._note(Path(path), now)
                rested = frozenset(name for name, when in self._changed.items() if now - when >= self._settle)
                for name in rested:
                    del self._changed[name]
                if now - swept >= _SWEEP_SECONDS:
                    swept = now
                    yield (rested | self._all()) - self.restless
                elif rested:
                    yield rested

    def _identity(self) -> tuple[int, int]:
        found = self._folder.stat()
        return found.st_dev, found.st_ino

    def _all(self) -> frozenset[str]:
        return frozenset(self._waiting() | {self.entry_of(path) for path in self._folder.iterdir()} - {""})

    def _waiting(self) -> set[str]:
        places = [self._folder / place for place in (INBOX, SOURCE)]
        return {self.entry_of(path) for place in places if place.is_dir() for path in place.iterdir()}

    def _note(self, path: Path, now: float) -> None:
        with contextlib.suppress(ValueError):
            parts = path.relative_to(self._folder).parts
            if parts in ((OURS,), *_DROPS):
                # A folder that is new may have been filled before the kernel was asked to tell of it.
                self._changed |= dict.fromkeys(self._waiting(), now)
            elif entry := self.entry_of(path):
                self._changed[entry] = now


def is_remote(folder: Path, mounts: str | None = None) -> bool:
    """Whether a folder lies on a file system of another machine.

    Args:
        folder: any folder.
        mounts: what is mounted where, as `/proc/mounts` has it; default: that file.
    """
    try:
        lines = (mounts if mounts is not None else Path("/proc/mounts").read_text(encoding="utf-8")).splitlines()
    except OSError:
        return False
    kinds = {Path(words[1].replace("\\040", " ")): words[2] for line in lines if len(words := line.split()) > 2}
    resolved = folder.resolve()
    kind = next((kinds[path] for path in (resolved, *resolved.parents) if path in kinds), "")
    return bool(_REMOTE.search(kind))
