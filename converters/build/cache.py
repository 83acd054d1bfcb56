"""The step cache: what a step made, kept under all that it was made from, so that nothing is made twice.

Each result is a folder that appears whole, by one rename. That makes a build resumable: one that was interrupted, by
Ctrl-C or by a power cut, leaves the steps that were finished and nothing that could be taken for finished. A shared
store, where one is configured, is asked for what this machine does not have, and is given what it made.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from converters.build.shared_store import SharedStore
from converters.errors import DISK_FULL, ConversionError, OutOfResources

ENTRY = "entry.json"
_SCRATCH = ".scratch-"


@dataclass(frozen=True, slots=True)
class Key:
    """What a result depends on.

    Attributes:
        step: such as "onnx", "int8", "engine"; a folder in the cache.
        made_from: all that it was made from, as plain values: digests, options, versions of tools.
    """

    step: str
    made_from: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 in lower-case hex."""
        return hashlib.sha256(json.dumps(self.made_from, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Made:
    """A step's result.

    Attributes:
        folder: that holds its files; not to be changed.
        digest: of its key.
        cached: whether it was there already.
        seconds: that it took now.
    """

    folder: Path
    digest: str
    cached: bool
    seconds: float


class StepCache:
    """A folder of results, and a store shared with other machines if there is one."""

    def __init__(self, folder: Path, shared: SharedStore | None = None) -> None:
        self._folder = folder
        self._shared = shared

    def made(self, key: Key, make: Callable[[Path], None]) -> Made:
        """The result for a key: from the cache, or made now.

        Args:
            key: all that the result depends on.
            make: given an empty folder, writes the result's files into it.

        Raises:
            OutOfResources: the disk is full; what was begun is removed.
            ConversionError: the folder cannot be written, or whatever `make` raises; nothing is kept then.
        """
        started = time.monotonic()
        place = self._folder / key.step / key.digest
        cached = _is_whole(place) or self._fetched(key, place)
        if cached:
            os.utime(place / ENTRY)  # `prune` removes what was not used for longest
        else:
            self._make(key, place, make)
        return Made(place, key.digest, cached, time.monotonic() - started)

    def _make(self, key: Key, place: Path, make: Callable[[Path], None]) -> None:
        with _scratch(place.parent) as scratch:
            make(scratch)
            files = {
                path.relative_to(scratch).as_posix(): path.stat().st_size
                for path in sorted(scratch.rglob("*"))
                if path.is_file()
            }
            entry = {"step": key.step, "made_from": key.made_from, "files": files}
            (scratch / ENTRY).write_text(json.dumps(entry, indent=2), "utf-8")
            _put(scratch, place)
        if self._shared:
            self._shared.put(f"{key.step}/{key.digest}", place, (*files, ENTRY))

    def _fetched(self, key: Key, place: Path) -> bool:
        if not self._shared:
            return False
        with _scratch(place.parent) as scratch:
            if not self._shared.get(f"{key.step}/{key.digest}", scratch) or not _is_whole(scratch):
                return False
            _put(scratch, place)
            return True

    def prune(self, most_bytes: int) -> int:
        """Remove what was not used for longest until at most so many bytes are left; gives the bytes removed."""
        entries = sorted(self._entries(), key=lambda folder: (folder / ENTRY).stat().st_mtime, reverse=True)
        left = removed = 0
        for folder in entries:
            size = _size(folder)
            if left + size > most_bytes:
                shutil.rmtree(folder)
                removed += size
            else:
                left += size
        return removed

    def sizes(self) -> Mapping[str, tuple[int, int]]:
        """By step: how many results there are, and their size in bytes."""
        found = dict[str, tuple[int, int]]()
        for folder in sorted(self._entries()):
            count, size = found.get(folder.parent.name, (0, 0))
            found[folder.parent.name] = (count + 1, size + _size(folder))
        return found

    def _entries(self) -> list[Path]:
        return [path.parent for path in self._folder.glob(f"*/*/{ENTRY}")]

    def clear_leftovers(self) -> None:
        """Remove what killed builds left behind; only while no other build uses the folder."""
        for path in self._folder.glob(f"*/{_SCRATCH}*"):
            shutil.rmtree(path, ignore_errors=True)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _is_whole(folder: Path) -> bool:
    """Whether a result is complete: files that somebody cut short or removed make it none."""
    try:
        files = json.loads((folder / ENTRY).read_text("utf-8"))["files"]
        return all((folder / name).stat().st_size == size for name, size in files.items())
    except (OSError, ValueError, KeyError):
        return False


def _put(scratch: Path, place: Path) -> None:
    if place.exists():  # a damaged one, or one that another process has just made
        shutil.rmtree(place, ignore_errors=True)
    try:
        scratch.rename(place)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


@contextmanager
def _scratch(parent: Path) -> Iterator[Path]:
    """A folder that is gone afterwards, unless it was renamed."""
    scratch: Path | None = None
    try:
        parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=parent))
        scratch.chmod(0o755)
        yield scratch
    except OSError as error:
        if error.errno in DISK_FULL:
            raise OutOfResources(
                f"no space is left below {parent}", hint="free some, or set another folder: output"
            ) from None
        raise ConversionError(
            f"{error.filename or parent} cannot be written ({error.strerror or error})",
            hint="make it writable, or set another folder: output",
        ) from None
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
