"""Mirror the models that lie in an object store: s3://, gs://, az://.

The store is listed again and again. What changed, and then was the same in two listings, is fetched beside the mirror
and appears in it as a whole, so a copy that still goes on is never taken. Credentials come from the environment, by the
names that each provider gives them (`AWS_...`, `GOOGLE_...`, `AZURE_...`).
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from atomic.exchange import discard, exchange, repair, write
from gateway.core.errors import SetupError
from gateway.repository.object_listing import Entry, Fingerprint, fingerprint, group

_STATE = ".objects.json"
_FETCHING = ".fetching-"
_PART_BYTES = 16 << 20
_RETRY = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}


@dataclass(frozen=True, slots=True)
class Changes:
    """What one look at the store brought.

    Attributes:
        updated: folders and files that are new or changed in the mirror, by their names in it.
        removed: those that are gone, from the store and the mirror.
        waiting: entries that changed since the last look, and are taken when they are the same at the next.
        refused: entries that cannot be taken, each with the reason.
        problem: what went wrong, in one line; the mirror stays as it is then. Empty if nothing did.
    """

    updated: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


@dataclass(slots=True)
class _State:
    """What is in the mirror, or was taken from it; kept on disk, so that it isn't fetched again."""

    url: str
    taken: dict[str, Entry] = field(default_factory=dict)


class _ChangedMeanwhile(Exception):
    """An object is no longer the one that was listed."""


class ObjectSource:
    """The models of one object store, and their mirror."""

    def __init__(self, url: str, mirror: Path, *, store: Any = None, concurrency: int = 8) -> None:
        """Prepare; nothing is asked yet.

        Args:
            url: such as s3://BUCKET/PREFIX.
            mirror: the folder for what is in it and nothing else, so not the model repository itself; what a reader
                takes out of it isn't fetched again.
            store: an obstore store in place of the URL's.
            concurrency: how many parts of up to 16 MiB are fetched at once.

        Raises:
            SetupError: there is no such kind of store, or it lacks a setting.
        """
        self._url, self._mirror = url, mirror
        self._slots = asyncio.Semaphore(concurrency)
        self._store = store if store is not None else _open(url)
        self._seen: dict[str, Entry] | None = None
        self._state: _State | None = None

    async def sync(self) -> Changes:
        """Look at the store, and bring the mirror to what did not change since the last look. Never raises."""
        try:
            if self._url.startswith("file://"):  # a folder that is missing would be listed as an empty one
                await asyncio.to_thread(os.listdir, unquote(urlsplit(self._url).path))
            listed = await obstore.list(self._store).collect_async()
            entries, refused = group(listed)
            state = await asyncio.to_thread(self._read_state)
        except (BaseError, OSError, ValueError) as error:
            return Changes(problem=f"{self._url}: cannot be listed ({_line(error)}); it is tried again")
        before, self._seen = self._seen, entries
        changed = [key for key in entries if state.taken.get(key) != entries[key]]
        # A store that is listed for the first time shows what is new, but not that it is complete.
        steady = [key for key in changed if before is not None and before.get(key) == entries[key]]
        gone = [key for key in state.taken if key not in entries and before is not None and key not in before]
        updated, removed, problems = list[str](), list[str](), list[str]()
        for key in gone:
            try:
                removed += [] if key in refused else await asyncio.to_thread(self._forget, key, state)
            except OSError as error:
                problems.append(f"{self._mirror}: {key} cannot be removed ({_line(error)}); it is tried again")
        for key in steady:
            try:
                updated += await self._take(key, entries[key], state)
            except _ChangedMeanwhile:
                self._seen.pop(key)
            except (BaseError, OSError) as error:
                problems.append(f"{self._url}: {key} cannot be fetched ({_line(error)}); it is tried again")
        waiting = tuple(key for key in changed if key not in steady or key not in self._seen)
        return Changes(tuple(updated), tuple(removed), waiting, refused, "; ".join(problems))

    async def upload(self, path: Path, key: str) -> int:
        """Put a file, or a folder with all its files, into the store.

        Args:
            path: the file or folder; hidden files in it are left out.
            key: its path in the store.

        Returns:
            How many objects were written.

        Raises:
            SetupError: it cannot be read, or the store does not take it.
        """
        try:
            shown = await asyncio.to_thread(_shown_files, path)
            for file in shown:
                name = "/".join((key.strip("/"), *file.relative_to(path).parts))
                await obstore.put_async(self._store, name, file)
        except (BaseError, OSError, ValueError) as error:
            raise SetupError(f"{path}: cannot be copied to {self._url}/{key} ({_line(error)})") from None
        return len(shown)

    async def paths(self) -> list[str]:
        """The path of every object.

        Raises:
            SetupError: the store cannot be listed.
        """
        try:
            return [item["path"] for item in await obstore.list(self._store).collect_async()]
        except (BaseError, OSError, ValueError) as error:
            raise SetupError(f"{self._url}: cannot be listed ({_line(error)})") from None

    async def delete(self, prefix: str) -> int:
        """Delete an object, or all objects of a folder.

        Returns:
            How many there were.

        Raises:
            SetupError: the store does not allow it.
        """
        prefix = prefix.strip("/")
        if not prefix:
            raise SetupError(f"{self._url}: name what is to be deleted; all of it never is")
        paths = [path for path in await self.paths() if f"{path}/".startswith(f"{prefix}/")]
        try:
            if paths:
                await obstore.delete_async(self._store, paths)
        except (BaseError, OSError, ValueError) as error:
            raise SetupError(f"{prefix}: cannot be deleted in {self._url} ({_line(error)})") from None
        return len(paths)

    async def _take(self, key: str, entry: Entry, state: _State) -> tuple[str, ...]:
        scratch = Path(tempfile.mkdtemp(prefix=_FETCHING, dir=self._mirror))
        try:
            for path in entry.files:
                await self._fetch(path, entry.objects[path], scratch / path)
            await asyncio.to_thread(self._place, entry, state.taken.get(key), scratch)
        finally:
            await asyncio.to_thread(discard, scratch)
        state.taken[key] = entry
        await asyncio.to_thread(self._write_state, state)
        return entry.names

    async def _fetch(self, path: str, wanted: Fingerprint, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            async with asyncio.TaskGroup() as parts:
                for start in range(0, wanted.size, _PART_BYTES):
                    end = min(start + _PART_BYTES, wanted.size)
                    parts.create_task(self._fetch_part(path, wanted, handle, (start, end)))
            await asyncio.to_thread(os.fsync, handle)
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            os.close(handle)

    async def _fetch_part(self, path: str, wanted: Fingerprint, handle: int, part: tuple[int, int]) -> None:
        async with self._slots:
            result = await obstore.get_async(self._store, path, options={"range": part})
            found = fingerprint(result.meta)
            content = memoryview(await result.bytes_async())
            if found != wanted or len(content) != part[1] - part[0]:
                raise _ChangedMeanwhile(path)
            written = 0
            while written < len(content):
                written += await asyncio.to_thread(os.pwrite, handle, content[written:], part[0] + written)

    def _place(self, entry: Entry, before: Entry | None, scratch: Path) -> None:
        for name in set(before.names if before else ()) - set(entry.names):
            discard(self._mirror / name)
        for name in entry.names:
            if entry.is_folder and os.path.lexists(self._mirror / name):
                exchange(scratch / name, self._mirror / name)
            else:
                (scratch / name).rename(self._mirror / name)

    def _forget(self, key: str, state: _State) -> tuple[str, ...]:
        entry = state.taken[key]
        for name in entry.names:
            discard(self._mirror / name)
        del state.taken[key]
        self._write_state(state)
        return entry.names

    def _read_state(self) -> _State:
        """What was taken before; the first time, what a killed process left is put in order."""
        if self._state is None:
            self._mirror.mkdir(parents=True, exist_ok=True)
            for left_over in self._mirror.glob(f"{_FETCHING}*"):
                repair(left_over)
                discard(left_over)
            try:
                self._state = msgspec.json.decode((self._mirror / _STATE).read_bytes(), type=_State)
            except (FileNotFoundError, msgspec.MsgspecError):
                self._state = _State(self._url)
            if self._state.url != self._url:
                self._state = _State(self._url)
        return self._state

    def _write_state(self, state: _State) -> None:
        write(self._mirror / _STATE, msgspec.json.encode(state))


def _open(url: str) -> Any:
    try:
        return from_url(url, retry_config=_RETRY)
    except (BaseError, ValueError) as error:
        raise SetupError(
            f"{url}: cannot be opened ({_line(error)}); object stores are s3://BUCKET/PREFIX, gs://... and az://..., "
            "with their settings in the environment"
        ) from None


def _shown_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = (file for file in sorted(path.rglob("*")) if file.is_file())
    return [file for file in files if not any(part.startswith(".") for part in file.relative_to(path).parts)]


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
