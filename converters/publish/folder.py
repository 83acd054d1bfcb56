"""Puts a result into a model repository, as a folder that Triton serves.

Whoever looks at the repository, such as a gateway that runs on it, sees the model before the change or after it. The
new folder is put together elsewhere, with hard links to what stays, and swapped with the one in place in one step.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from atomic.exchange import exchange, sync
from atomic.link import link
from converters.engines import record
from converters.engines.record import EngineRecord
from converters.errors import BadEngine, ConfigError
from converters.graph.files import digest_of_file
from converters.publish.existing import RECORD, SETTINGS, Existing
from converters.publish.source_config import CONFIG
from converters.publish.workplace import explained, locked, staged

# The name becomes a part of a shell command inside Triton, and of URLs; the end is the gateway's own.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}(?<!--candidate)")


@dataclass(frozen=True, slots=True)
class Published:
    """What became of it.

    Attributes:
        folder: the model's.
        version: that has it.
        outcome: "published"; "unchanged" if this is served already; "retired" if an operator has set just this aside,
            which is left so.
    """

    folder: Path
    version: int
    outcome: Literal["published", "unchanged", "retired"]


@dataclass(frozen=True, slots=True)
class Content:
    """What is to be published.

    Attributes:
        files: of the version's folder, by name: the bytes or where they are.
        records: one for each plan or model among them.
        config: the text of `config.pbtxt`.
        beside: what lies beside that: label files, warm-up data; by their path in the model's folder.
    """

    files: Mapping[str, Path | bytes]
    records: tuple[EngineRecord, ...]
    config: str
    beside: Mapping[str, Path] = field(default_factory=dict)

    def digests(self) -> dict[str, str]:
        """The sha256 of every file.

        Raises:
            BadEngine: one is not what its record says.
        """
        found = {
            name: digest_of_file(content) if isinstance(content, Path) else hashlib.sha256(content).hexdigest()
            for name, content in self.files.items()
        }
        for each in self.records:
            if found.get(each.file) != each.sha256:
                raise BadEngine(f"{each.file} is not the file that its record is about", hint="build it again").at(
                    step="publish"
                )
        return found


def publish(repository: Path, name: str, content: Content, *, force: bool = False) -> Published:
    """Make a result the newest version of a model; versions that are there stay.

    Args:
        repository: the model repository; made if need be.
        name: of the model; it may be new.
        content: what to publish.
        force: put it over a model of another kind, or a configuration that was changed by hand.

    Raises:
        ConfigError: the name cannot be one, or something else has it.
        BadEngine: a file is not what its record says.
        OutOfResources: the disk is full; nothing was changed.
        ConversionError: the repository cannot be written, or another process changes it for too long.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot be a model's name",
            hint="give it up to 128 letters, digits, '.', '_' and '-', the first a letter or a digit",
        ).at(step="publish")
    with explained(name):
        repository.mkdir(parents=True, exist_ok=True)
        place, digests = repository.absolute() / name, content.digests()
        if (found := _found(place, digests)) is not None:
            return found
        with staged(repository.absolute()) as stage:
            _write_version(content, stage / "version")
            with locked(repository.absolute(), f"publishing {name}"):
                if (found := _found(place, digests)) is not None:  # by somebody else, meanwhile
                    return found
                existing = Existing.at(place)
                if not force:
                    existing.check(content.records)
                version = existing.next_version
                _put(existing, content, version, stage)
                sync(repository)
    return Published(place, version, "published")


def _found(place: Path, digests: Mapping[str, str]) -> Published | None:
    existing = Existing.at(place)
    version = existing.holding(digests)
    if version is None:
        return None
    return Published(place, version, "unchanged" if version in existing.kept else "retired")


def _write_version(content: Content, folder: Path) -> None:
    folder.mkdir()
    for name, each in content.files.items():
        _write(folder / name, each)
    _write(folder / record.FILE_NAME, record.as_json(content.records).encode())
    sync(folder)


def _put(existing: Existing, content: Content, version: int, stage: Path) -> None:
    """Add the version, and what belongs to it, in one step."""
    new, place = stage / "new", existing.folder
    coming: dict[str, Path | bytes] = {CONFIG: content.config.encode(), **content.beside}
    told = existing.record_with(version)
    if told is not None:
        coming[RECORD] = told
    new.mkdir()
    if existing.is_there:
        for path in place.iterdir():
            if path.name not in coming:
                link(path, new / path.name)
        _keep_settings(existing, new)
    for name, each in coming.items():
        _replace(new / name, each)
    (stage / "version").rename(new / str(version))
    sync(new)
    if not existing.is_there:
        new.rename(place)
    else:
        exchange(new, place)


def _keep_settings(existing: Existing, new: Path) -> None:
    """Each version that is not served keeps the configuration that it was served with, for when it is rolled back."""
    if not existing.kept:
        return
    settings = new / SETTINGS / str(existing.kept[-1])
    if settings.exists():
        shutil.rmtree(settings)
    settings.mkdir(parents=True)
    for path in existing.folder.iterdir():
        if path.is_file() and path.name not in (RECORD, f"{RECORD}.new"):
            shutil.copy2(path, settings / path.name)


def _replace(path: Path, content: Path | bytes) -> None:
    """Write a file of its own: what was there may be a link to the one that is served."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    _write(path, content)


def _write(path: Path, content: Path | bytes) -> None:
    if isinstance(content, Path):
        shutil.copyfile(content, path)
    else:
        path.write_bytes(content)
    sync(path)
