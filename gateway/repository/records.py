"""The records of all models of a repository, of which only those are read again that have changed."""

from __future__ import annotations

import os
from pathlib import Path

from gateway.core.errors import ModelRefused
from gateway.repository import record
from gateway.repository.record import ModelRecord


class Records:
    """Reads the records of a repository; not for several threads at once.

    Args:
        repository: the model repository.
    """

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._known: dict[str, tuple[tuple[int, int], ModelRecord]] = {}

    def read(self) -> dict[str, ModelRecord]:
        """The record of each model by its name; one that cannot be understood has no versions.

        A record changes by an exchange of files, so another time or inode means another content.
        """
        try:
            names = [entry.name for entry in os.scandir(self._repository) if not entry.name.startswith(".")]
        except OSError:
            names = []  # it is told by whoever serves it
        known = {}
        for name in names:
            path = self._repository / name
            try:
                found = os.stat(f"{self._repository}/{name}/{record.FILE_NAME}")  # noqa: PTH116 - a path object costs
            except OSError:
                continue
            seen = (found.st_mtime_ns, found.st_ino)
            before = self._known.get(name)
            known[name] = before if before and before[0] == seen else (seen, _read(path))
        self._known = known
        return {name: model for name, (_, model) in known.items()}


def _read(folder: Path) -> ModelRecord:
    try:
        return record.read(folder) or ModelRecord(folder.name)
    except ModelRefused:
        return ModelRecord(folder.name)
