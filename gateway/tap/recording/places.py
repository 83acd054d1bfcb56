"""Where a log lies: a folder, or an object store. Every failure is an OSError, whichever it is.

In a folder nobody but the gateway's own user can read anything: requests may hold what is nobody else's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from gateway.core.errors import SetupError
from gateway.tap.recording.segment import LINES, TENSORS, SegmentName

_RETRY = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}
_SUFFIXES = (TENSORS, LINES)


@dataclass(frozen=True, slots=True)
class Kept:
    """A segment that is there.

    Attributes:
        name: its name.
        bytes: of its files.
        whole: whether it can be read; what is not is being written, or was left by somebody who died.
    """

    name: SegmentName
    bytes: int
    whole: bool = True


class Place(Protocol):
    """A log's place. Every call may raise OSError."""

    async def models(self) -> list[str]:
        """The models' folders; "" for the place itself, where segments lie in it."""
        ...

    async def segments(self, model: str) -> list[Kept]:
        """The segments of a model, the oldest first; none if it has no folder."""
        ...

    async def read(self, model: str, name: SegmentName) -> tuple[bytes, bytes]:
        """The contents of a segment's two files: tensors and lines.

        Raises:
            FileNotFoundError: somebody has taken it away.
        """
        ...

    async def write(self, model: str, name: SegmentName, tensors: bytes, lines: bytes) -> None:
        """Add a segment, or nothing of it."""
        ...

    async def remove(self, model: str, names: Iterable[SegmentName]) -> None:
        """Take segments away; some may be gone already."""
        ...


def place_of(log: str) -> Place:
    """The place that a folder's path or the URL of an object store names; nothing is asked yet.

    Raises:
        SetupError: there is no such kind of store, or it lacks a setting.
    """
    if "://" not in log:
        return FolderPlace(Path(log))
    try:
        return StorePlace(from_url(log, retry_config=_RETRY))
    except (BaseError, ValueError) as error:
        raise SetupError(
            f"{log}: cannot be opened ({_line(error)}); object stores are s3://BUCKET/PREFIX, gs://... and az://..., "
            "with their settings in the environment"
        ) from None


class FolderPlace:
    """A log in a folder. A file is written under a hidden name, and gets its own when it is on the disk.

    Args:
        path: the folder; it is made when something is written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def models(self) -> list[str]:
        """The folder's folders."""
        return await asyncio.to_thread(self._models)

    async def segments(self, model: str) -> list[Kept]:
        """What is in a model's folder, with what is hidden."""
        return await asyncio.to_thread(self._segments, model)

    async def read(self, model: str, name: SegmentName) -> tuple[bytes, bytes]:
        """The two files."""
        tensors, lines = (self._path / model / f"{name}{suffix}" for suffix in _SUFFIXES)
        return await asyncio.to_thread(lambda: (tensors.read_bytes(), lines.read_bytes()))

    async def write(self, model: str, name: SegmentName, tensors: bytes, lines: bytes) -> None:
        """Write both hidden, then let them appear."""
        await asyncio.to_thread(self._write, model, name, (tensors, lines))

    async def remove(self, model: str, names: Iterable[SegmentName]) -> None:
        """Take them away, lines first."""
        await asyncio.to_thread(self._remove, model, list(names))

    def _models(self) -> list[str]:
        with os.scandir(self._path) as entries:
            found = list(entries)
        here = [""] if any(SegmentName.parsed(Path(entry.name).stem) for entry in found) else []
        return here + sorted(entry.name for entry in found if entry.is_dir() and not entry.name.startswith("."))

    def _segments(self, model: str) -> list[Kept]:
        sizes: list[tuple[str, int]] = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self._path / model) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # it has just appeared, or was taken away
                    sizes.append((entry.name, entry.stat(follow_symlinks=False).st_size))
        return _kept(sizes)

    def _write(self, model: str, name: SegmentName, contents: tuple[bytes, bytes]) -> None:
        folder = self._path / model
        self._path.parent.mkdir(parents=True, exist_ok=True)
        for each in (self._path, folder):
            each.mkdir(0o700, exist_ok=True)
        shown = [folder / f"{name}{suffix}" for suffix in _SUFFIXES]
        hidden = [path.with_name(f".{path.name}") for path in shown]
        try:
            for path, content in zip(hidden, contents, strict=True):
                _write_through(path, content)
            for before, after in zip(hidden, shown, strict=True):
                before.rename(after)
            _sync(folder)
        except OSError:
            for path in (*reversed(shown), *hidden):
                path.unlink(missing_ok=True)
            raise

    def _remove(self, model: str, names: list[SegmentName]) -> None:
        for name in names:
            for suffix in reversed(_SUFFIXES):
                for hidden in ("", "."):
                    (self._path / model / f"{hidden}{name}{suffix}").unlink(missing_ok=True)


class StorePlace:
    """A log in an object store, where an object appears as a whole.

    Args:
        store: an obstore store, with its prefix.
    """

    def __init__(self, store: Any) -> None:
        self._store = store

    async def models(self) -> list[str]:
        """The prefixes one level below."""
        try:
            found = await obstore.list_with_delimiter_async(self._store)
        except (BaseError, ValueError) as error:
            raise OSError(_line(error)) from None
        here = any(SegmentName.parsed(Path(item["path"]).stem) for item in found["objects"])
        return ([""] if here else []) + sorted(Path(prefix).name for prefix in found["common_prefixes"])

    async def segments(self, model: str) -> list[Kept]:
        """What is below a model's prefix."""
        try:
            found = await obstore.list_with_delimiter_async(self._store, model or None)
        except (BaseError, ValueError) as error:
            raise OSError(_line(error)) from None
        return _kept((Path(item["path"]).name, item["size"]) for item in found["objects"])

    async def read(self, model: str, name: SegmentName) -> tuple[bytes, bytes]:
        """The two objects."""
        try:
            tensors, lines = [
                bytes(await (await obstore.get_async(self._store, self._key(model, name, suffix))).bytes_async())
                for suffix in _SUFFIXES
            ]
        except (BaseError, ValueError) as error:
            raise OSError(_line(error)) from None
        return tensors, lines

    async def write(self, model: str, name: SegmentName, tensors: bytes, lines: bytes) -> None:
        """Upload both, the lines last; tensors without lines are nothing, and are counted as left over."""
        try:
            await obstore.put_async(self._store, self._key(model, name, TENSORS), tensors)
            await obstore.put_async(self._store, self._key(model, name, LINES), lines)
        except (BaseError, ValueError) as error:
            raise OSError(_line(error)) from None

    async def remove(self, model: str, names: Iterable[SegmentName]) -> None:
        """Delete them, lines first."""
        for key in [self._key(model, name, suffix) for name in names for suffix in reversed(_SUFFIXES)]:
            try:
                with contextlib.suppress(FileNotFoundError):  # somebody else was first
                    await obstore.delete_async(self._store, key)
            except (BaseError, ValueError) as error:
                raise OSError(_line(error)) from None

    @staticmethod
    def _key(model: str, name: SegmentName, suffix: str) -> str:
        return f"{model}/{name}{suffix}" if model else f"{name}{suffix}"


def _kept(files: Iterable[tuple[str, int]]) -> list[Kept]:
    """The segments that files make; what they are not part of is passed over."""
    sizes: dict[SegmentName, int] = {}
    shown: dict[SegmentName, set[str]] = {}
    for file, size in files:
        path = Path(file.removeprefix("."))
        name = SegmentName.parsed(path.stem)
        if name is not None and path.suffix in _SUFFIXES:
            sizes[name] = sizes.get(name, 0) + size
            shown.setdefault(name, set()).update([] if file.startswith(".") else [path.suffix])
    return [Kept(name, sizes[name], shown[name] == set(_SUFFIXES)) for name in sorted(sizes)]


def _write_through(path: Path, content: bytes) -> None:
    with open(path, "xb", opener=partial(os.open, mode=0o600)) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
