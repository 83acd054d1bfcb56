"""Where changes of a repository are made ready: one lock, and staged folders that a killed process leaves behind.

Everything lies in `.triton-gateway/` of the repository, so that a staged folder is one rename away from its place.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from typing import IO

from atomic.exchange import discard, repair, write
from gateway.core.errors import SetupError
from gateway.repository.record import digest

FOLDER = ".triton-gateway"
_LOOK_SECONDS = 0.02
_CONSUMPTION = "consumption.json"
_ALIVE = ".lock"


@dataclass(frozen=True, slots=True)
class Consumption:
    """What is to be removed once a version is published.

    Attributes:
        model, version: what is published from it.
        sha256: as in the version's record.
        paths: each file or folder, and its `digest`.
    """

    model: str
    version: int
    sha256: str
    paths: Mapping[str, str]

    def plan(self, staged: Path) -> None:
        """Note it where `recover` finds it; to be called before publishing."""
        write(staged / _CONSUMPTION, json.dumps(asdict(self)).encode())

    def carry_out(self, staged: Path) -> None:
        """Remove the paths in one step each; those that are gone or were changed since are left alone.

        Raises:
            OSError: one cannot be removed.
        """
        for number, (name, sha256) in enumerate(self.paths.items()):
            path = Path(name)
            if os.path.lexists(path) and digest([path]) == sha256:
                path.rename(staged / f"consumed-{number}")


class Workplace:
    """The lock and the staged folders of one repository."""

    def __init__(
        self, repository: Path, *, is_published: Callable[[str, int, str], bool], lock_seconds: float = 10.0
    ) -> None:
        """Prepare; nothing is written yet.

        Args:
            repository: the model repository.
            is_published: whether the version of the model came from what has this sha256.
            lock_seconds: how long to wait for another process.
        """
        self._folder = repository / FOLDER
        self._is_published, self._lock_seconds = is_published, lock_seconds

    @contextmanager
    def locked(self, doing: str) -> Iterator[list[str]]:
        """Be the only one who changes the repository; first, what killed processes left is put in order.

        Args:
            doing: what others are told who wait too long, such as "publishing my_model".

        Yields:
            What was put in order, one line each.

        Raises:
            SetupError: another process has held the lock too long.
            OSError: the repository cannot be written.
        """
        self._staging.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("a+b", buffering=0) as file:
            self._wait_for(file)
            file.truncate(0)
            with contextlib.suppress(OSError):  # on a full disk models can still be removed
                file.write(f"process {os.getpid()}, {doing}".encode())
            try:
                yield self._put_in_order()
            finally:
                file.truncate(0)

    @contextmanager
    def staged(self) -> Iterator[Path]:
        """A folder of one's own, removed at the end; one that a killed process leaves is removed by `locked`."""
        with self.locked("making a folder"):
            folder = self._staging / secrets.token_hex(8)
            folder.mkdir()
            alive = _alive_file(folder).open("w")
            fcntl.flock(alive, fcntl.LOCK_EX)
        with alive:
            try:
                yield folder
            finally:
                _remove(folder)

    @property
    def _staging(self) -> Path:
        return self._folder / "staging"

    def _wait_for(self, file: FileIO) -> None:
        deadline = time.monotonic() + self._lock_seconds
        while not _try_lock(file):
            if time.monotonic() > deadline:
                file.seek(0)
                holder = file.read().decode() or "which does not say what it does"
                raise SetupError(
                    f"{self._folder.parent}: the repository is being changed by another process ({holder}) for more "
                    f"than {self._lock_seconds:g} s; wait until it has ended, or end it, and try again"
                )
            time.sleep(_LOOK_SECONDS)

    def _put_in_order(self) -> list[str]:
        done = []
        for name in sorted({path.name.removesuffix(_ALIVE) for path in self._staging.iterdir()}):
            folder = self._staging / name
            with _alive_file(folder).open("a") as alive:
                if _try_lock(alive):
                    done += self._finish(folder)
        return done

    def _finish(self, folder: Path) -> list[str]:
        done = []
        if repair(folder):
            done.append("finished the exchange of a model's folder that was interrupted")
        try:
            consumption = Consumption(**json.loads((folder / _CONSUMPTION).read_bytes()))
        except FileNotFoundError:
            pass
        else:
            if self._is_published(consumption.model, consumption.version, consumption.sha256):
                consumption.carry_out(folder)
                done.append(f"removed what version {consumption.version} of {consumption.model} was published from")
        if folder.exists():
            done.append(f"removed {folder.name}, which an interrupted change had left")
        _remove(folder)
        return done


def _alive_file(folder: Path) -> Path:
    """Locked as long as the process lives that the folder belongs to."""
    return folder.with_name(f"{folder.name}{_ALIVE}")


def _remove(folder: Path) -> None:
    try:
        discard(folder)
    except OSError:
        return  # the next one tries again
    _alive_file(folder).unlink(missing_ok=True)


def _try_lock(file: IO[str] | FileIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
