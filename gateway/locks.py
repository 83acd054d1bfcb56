"""A lock between processes that want to do the same work: one does it, the others wait for it."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from gateway.core.errors import SetupError

_LOOK_SECONDS = 0.1


@contextmanager
def exclusive(path: Path, console: Console, *, doing: str, timeout: float) -> Iterator[None]:
    """Hold an exclusive lock on `path`; a process that dies lets go of it by itself.

    Args:
        path: the lock file; it is made if need be, and stays.
        console: told when another process holds the lock.
        doing: what that one does, such as "fetching Triton".
        timeout: how long to wait for it, in seconds.

    Raises:
        SetupError: the other process has held it too long.
    """
    with path.open("w") as file:
        deadline = time.monotonic() + timeout
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    console.print(f"Another process is {doing}; waiting for it")
                    told = True
                if time.monotonic() > deadline:
                    raise SetupError(f"another process has held {path} too long; end it and try again") from None
                time.sleep(_LOOK_SECONDS)
        yield
