"""Read a model repository: which models are there, and what is recorded of them. Nothing here takes a lock."""

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from gateway.core.errors import ModelRefused, SetupError
from gateway.repository import record
from gateway.repository.record import FILE_NAME, ModelRecord, VersionRecord
from gateway.repository.scan import SAFE_NAME

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Reader:
    """One model repository; every method may raise `SetupError` where it cannot be read."""

    def __init__(self, repository: Path, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Prepare; nothing is read yet.

        Args:
            repository: its folder.
            clock: tells the time in UTC.
        """
        self._repository, self._clock = repository.absolute(), clock

    def models(self) -> list[str]:
        """The names of the folders that are models: with a record, a configuration or a version; in their order."""
        with explained(self._repository), os.scandir(self._repository) as entries:
            names = [entry.name for entry in entries if SAFE_NAME.fullmatch(entry.name) and entry.is_dir()]
            return sorted(name for name in names if is_model(self._repository / name))

    def folder(self, name: str) -> Path:
        """The model's folder, whether it is there or not.

        Raises:
            ModelRefused: no model can have this name.
        """
        if not SAFE_NAME.fullmatch(name):
            raise ModelRefused(
                f"{name!r} cannot be a model's name: give it up to 128 letters, digits, '.', '_' and '-', "
                "the first a letter or a digit"
            )
        return self._repository / name

    def record(self, name: str) -> ModelRecord | None:
        """What is recorded of a model; None if there is no record.

        Raises:
            ModelRefused: the record cannot be understood.
        """
        found = record.read(self.folder(name))
        return found and replace(found, name=name)

    def next_version(self, name: str) -> int:
        """The number that the next version gets: higher than any that was ever used."""
        folder, found = self.folder(name), self.record(name)
        with explained(folder):
            present = record.versions_in(folder) if folder.is_dir() else []
        return max((0, *present, found.last_version if found else 0)) + 1

    def already_published(self, name: str, sha256: str) -> int | None:
        """The version that is served, if it came from what has this `digest`."""
        found = self.record(name)
        if found is None or found.served is None or found.versions[found.served].source_sha256 != sha256:
            return None
        return found.served

    def digest(self, paths: Sequence[Path]) -> str:
        """One sha256 over files and folders with their names."""
        with explained(self._repository):
            return record.digest(paths)

    def existing(self, name: str) -> Path:
        """The folder of a model that is there.

        Raises:
            ModelRefused: there is none; the message gives the nearest name.
        """
        folder = self.folder(name)
        if not is_model(folder):
            names = self.models()
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names[:10]) or 'none'}"
            raise ModelRefused(f"there is no model {name!r} in {self._repository}; {hint}")
        return folder

    def known(self, name: str) -> ModelRecord:
        """The record, brought up to date with the version folders that were added or deleted by hand.

        The files of the versions that were added are read.
        """
        folder = self.existing(name)
        found = self.record(name) or ModelRecord(name)
        there = {n: version for n, version in found.versions.items() if (folder / version.place).is_dir()}
        found = replace(found, versions=there)
        for number in record.versions_in(folder):
            if number not in found.kept:
                files = record.hash_files(folder / str(number))
                found = found.with_version(VersionRecord(number, "kept", self.now(), files=files))
        return found

    def now(self) -> str:
        """The time, as records have it."""
        return self._clock().isoformat(timespec="seconds")


def is_model(folder: Path) -> bool:
    """Whether it is a model's folder: with a record, a configuration, or a version."""
    if not folder.is_dir():
        return False
    return any((folder / name).is_file() for name in (FILE_NAME, "config.pbtxt")) or bool(record.versions_in(folder))


@contextmanager
def explained(what: object) -> Iterator[None]:
    """Turn what the file system says into what a person can do about it.

    Args:
        what: the model or the folder that it is about.

    Raises:
        SetupError: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise SetupError(f"{what}: the disk is full; nothing was changed; make room, then try again") from None
        where = f" {error.filename}" if error.filename else ""
        raise SetupError(
            f"{what}: cannot read or write{where} ({error.strerror or error}); allow it, then try again"
        ) from None
