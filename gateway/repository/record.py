"""The record of a model: its versions, what their files must be, and where they came from.

It lies as `.triton-gateway.json` in the model's folder, and changes together with it in one exchange.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from gateway.core.errors import ModelRefused

FILE_NAME = ".triton-gateway.json"
RETIRED = ".retired"
_SCHEMA = 1
_UNWATCHED = "__pycache__"

State = Literal["kept", "retired"]


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file: its content, and how it was recognised without reading it when its content was last read.

    Attributes:
        sha256: of the content, in lower-case hex.
        size: in bytes.
        mtime_ns, inode: as the file system told them; a hard link has the same.
    """

    sha256: str
    size: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """One version.

    Attributes:
        version: its number.
        state: "kept" lies in `NAME/N` (the highest of these is served), "retired" in `NAME/.retired/N`.
        published_at: when, as ISO 8601 in UTC.
        source: the name of the file or folder that it came from; empty if it was found in place.
        source_sha256: of all files that it came from; see `digest`.
        files: by path relative to the version's folder.
        description: as of `Description.as_dict`; None if nobody looked into the model.
        checks: what was validated, each with `name`, `detail` and `seconds`.
        sample: inputs as the protocol's JSON has them.
        reason: why it is retired; empty if it is not.
    """

    version: int
    state: State
    published_at: str
    source: str = ""
    source_sha256: str = ""
    files: Mapping[str, FileRecord] = field(default_factory=dict)
    description: Mapping[str, Any] | None = None
    checks: tuple[Mapping[str, Any], ...] = ()
    sample: tuple[Mapping[str, Any], ...] = ()
    reason: str = ""

    @property
    def place(self) -> str:
        """Its folder, relative to the model's."""
        return str(self.version) if self.state == "kept" else f"{RETIRED}/{self.version}"


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """One model.

    Attributes:
        name: the model's, and its folder's.
        versions: those whose files are there, by number.
        last_version: the highest number that was ever used.
        schema: of this file.
    """

    name: str
    versions: Mapping[int, VersionRecord] = field(default_factory=dict)
    last_version: int = 0
    schema: int = _SCHEMA

    @property
    def kept(self) -> tuple[int, ...]:
        """The versions that are not retired, ascending."""
        return tuple(sorted(number for number, version in self.versions.items() if version.state == "kept"))

    @property
    def retired(self) -> tuple[int, ...]:
        """The versions that can be brought back by a rollback, ascending."""
        return tuple(sorted(number for number, version in self.versions.items() if version.state == "retired"))

    @property
    def served(self) -> int | None:
        """The version that takes traffic; None if there is none."""
        return max(self.kept, default=None)

    def with_version(self, version: VersionRecord) -> ModelRecord:
        """The same with one version added or changed."""
        versions = {**self.versions, version.version: version}
        return replace(self, versions=versions, last_version=max(self.last_version, version.version))


def read(folder: Path) -> ModelRecord | None:
    """The record in a model's folder; None if there is none.

    Raises:
        ModelRefused: it cannot be read or understood.
    """
    path = folder / FILE_NAME
    try:
        record = msgspec.json.decode(path.read_bytes(), type=ModelRecord)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ModelRefused(f"{path}: cannot be read ({error.strerror}); allow it") from None
    except msgspec.MsgspecError as error:
        raise ModelRefused(
            f"{path}: is not a model's record ({error}); delete it, and the folder's versions are taken as they are"
        ) from None
    if record.schema > _SCHEMA:
        raise ModelRefused(f"{path}: was written by a newer triton-gateway (schema {record.schema}); update this one")
    return record


def encode(record: ModelRecord) -> bytes:
    """The text of the file."""
    return msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"


def hash_files(folder: Path) -> dict[str, FileRecord]:
    """Read every file below a version's folder.

    Raises:
        OSError: a file cannot be read.
    """
    return {name: _read_file(Path(path)) for name, path in sorted(_files(folder))}


def verify(folder: Path, record: ModelRecord, *, quick: bool = False) -> list[str]:
    """What differs between the files of a model's versions and its record.

    Args:
        folder: the model's folder.
        record: what the files must be.
        quick: take a file as unchanged when its size, its time and its inode are those that were recorded.

    Returns:
        One line for each file or version that is missing, was changed, or was added; nothing if all is well.
    """
    differences = []
    for number in sorted(record.versions):
        differences += _verify_version(folder, record.versions[number], quick=quick)
    known = {version.place for version in record.versions.values()}
    differences += [
        f"{found}: is not in the model's record" for found in versions_in(folder) if str(found) not in known
    ]
    return differences


def refreshed(folder: Path, record: ModelRecord) -> ModelRecord:
    """The record with the times and inodes that the files have now; true if `verify` finds no difference after it."""
    for version in record.versions.values():
        files, place = dict(version.files), folder / version.place
        for name, path in _files(place) if place.is_dir() else ():
            if name in files:
                files[name] = _seen(files[name].sha256, os.stat(path))  # noqa: PTH116 - a path object each costs
        record = record.with_version(replace(version, files=files))
    return record


def versions_in(folder: Path) -> list[int]:
    """The numbers of the version folders that Triton sees, ascending."""
    return sorted(int(e.name) for e in os.scandir(folder) if is_version(e.name) and e.is_dir())


def is_version(name: str) -> bool:
    """Whether Triton takes a folder of this name as a version."""
    return name.isascii() and name.isdigit() and name[0] != "0"


def digest(paths: Sequence[Path]) -> str:
    """One sha256 over files and folders, by the names and contents of all that is in them, in lower-case hex.

    Raises:
        OSError: a file cannot be read.
    """
    total = hashlib.sha256()
    for path in sorted(paths):
        found = sorted(_files(path, everything=True)) if path.is_dir() else [("", str(path))]
        for name, file in found:
            total.update(f"{path.name}/{name}\0{_read_file(Path(file)).sha256}\n".encode())
    return total.hexdigest()


def _verify_version(folder: Path, version: VersionRecord, *, quick: bool) -> list[str]:
    place = folder / version.place
    if not place.is_dir():
        return [f"{version.place}: the version's folder is missing"]
    found = dict(_files(place))
    differences = [f"{version.place}/{name}: is missing" for name in sorted(version.files.keys() - found)]
    differences += [f"{version.place}/{name}: was added" for name in sorted(found.keys() - version.files)]
    for name in sorted(found.keys() & version.files):
        if not _is_unchanged(found[name], version.files[name], quick=quick):
            differences.append(f"{version.place}/{name}: was changed")
    return differences


def _is_unchanged(path: str, file: FileRecord, *, quick: bool) -> bool:
    now = os.stat(path)  # noqa: PTH116 - a path object for each file of a thousand models costs
    if now.st_size != file.size:
        return False
    if quick and (now.st_mtime_ns, now.st_ino) == (file.mtime_ns, file.inode):
        return True
    return _read_file(Path(path)).sha256 == file.sha256


def _read_file(path: Path) -> FileRecord:
    with path.open("rb") as file:
        status = os.fstat(file.fileno())  # before: a file that changes meanwhile must not look the same later
        return _seen(hashlib.file_digest(file, "sha256").hexdigest(), status)


def _seen(sha256: str, status: os.stat_result) -> FileRecord:
    return FileRecord(sha256, status.st_size, status.st_mtime_ns, status.st_ino)


def _files(folder: Path, *, everything: bool = False) -> Iterator[tuple[str, str]]:
    """Every file below a folder: its path relative to that, and its path.

    Compiled Python is passed over: Python writes it when a version is loaded.
    """
    pending = [("", str(folder))]
    while pending:
        prefix, path = pending.pop()
        for entry in os.scandir(path):
            if entry.is_dir():
                if everything or entry.name != _UNWATCHED:
                    pending.append((f"{prefix}{entry.name}/", entry.path))
            else:
                yield f"{prefix}{entry.name}", entry.path
