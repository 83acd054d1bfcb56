"""Where a result is made ready in a repository: beside the models, hidden, one rename away from its place.

A gateway may run on the same repository and change it, too. So this keeps to what it does: everything lies in
`.triton-gateway/`, one file lock there lets only one process change models, and a staged folder belongs to the process
that holds the lock of the file beside it. What a killed process leaves is removed by the next one, whichever it is.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from atomic.exchange import repair
from converters.errors import DISK_FULL, ConversionError, OutOfResources

FOLDER = ".triton-gateway"
_STAGING = "staging"
_PREFIX = "convert-"
_ALIVE = ".lock"
_LOOK_SECONDS = 0.05


@contextmanager
def staged(repository: Path) -> Iterator[Path]:
    """An empty folder on the repository's file system, removed at the end with all that is still in it."""
    staging = repository / FOLDER / _STAGING
    staging.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(staging)
    folder = staging / f"{_PREFIX}{secrets.token_hex(8)}"
    with _alive(folder).open("w") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder)
            _alive(folder).unlink(missing_ok=True)


@contextmanager
def locked(repository: Path, doing: str, seconds: float = 30.0) -> Iterator[None]:
    """Be the only one who changes the repository.

    Args:
        repository: it.
        doing: what others are told who wait, such as "publishing my_model".
        seconds: how long to wait for another process.

    Raises:
        ConversionError: another process has held the lock too long.
    """
    folder = repository / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+b", buffering=0) as file:
        _wait_for(file, repository, seconds)
        file.truncate(0)
        file.write(f"process {os.getpid()}, {doing}".encode())
        try:
            yield
        finally:
            file.truncate(0)


@contextmanager
def explained(what: object) -> Iterator[None]:
    """Turn what the file system says into what a person can do about it.

    Raises:
        OutOfResources: the disk is full.
        ConversionError: something cannot be read or written.
    """
    try:
        yield
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        if error.errno in DISK_FULL:
            raise OutOfResources(
                f"the disk is full, so {what} was not published", hint="make room and build again; nothing was changed"
            ).at(step="publish") from None
        raise ConversionError(
            f"{what} cannot be published: cannot read or write{where} ({error.strerror or error})",
            hint="allow it, or publish into another repository",
        ).at(step="publish") from None


def _clear_leftovers(staging: Path) -> None:
    """Remove the folders of our own kind whose process is gone; the gateway looks after its own."""
    for alive in staging.glob(f"{_PREFIX}*{_ALIVE}"):
        with alive.open("a") as file:
            if _try_lock(file.fileno()):
                folder = alive.with_name(alive.name.removesuffix(_ALIVE))
                repair(folder)
                shutil.rmtree(folder, ignore_errors=True)
                alive.unlink(missing_ok=True)


def _wait_for(file: FileIO, repository: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not _try_lock(file.fileno()):
        if time.monotonic() > deadline:
            file.seek(0)
            holder = file.read().decode("utf-8", "replace") or "which does not say what it does"
            raise ConversionError(
                f"{repository} is being changed by another process ({holder}) for more than {seconds:g} s",
                hint="wait until it has ended, or end it, and build again",
            ).at(step="publish")
        time.sleep(_LOOK_SECONDS)


def _alive(folder: Path) -> Path:
    """Locked as long as the process lives that the folder belongs to."""
    return folder.with_name(f"{folder.name}{_ALIVE}")


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
