"""Change a model repository: every change of a model is one exchange of its whole folder.

Whoever looks sees a model before the change or after it, with all that belongs together; a process that is killed at
any moment leaves the one or the other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from atomic.exchange import exchange, sync
from atomic.link import link
from gateway.core.errors import ModelRefused, SetupError
from gateway.repository import history, record
from gateway.repository.assemble import Change, assemble, named, take_in
from gateway.repository.description import Prepared
from gateway.repository.reader import Reader, explained, is_model
from gateway.repository.record import FILE_NAME, ModelRecord, VersionRecord
from gateway.repository.workplace import Consumption, Workplace

_FIRST = "1"


class Store(Reader):
    """One model repository that is changed.

    Every method may raise `SetupError`: the repository cannot be read or written, or another process changes it for too
    long. Nothing is changed then.
    """

    def __init__(  # noqa: PLR0913 - by name, and each a thing of its own
        self,
        repository: Path,
        keep_versions: int = 3,
        *,
        pinned: Callable[[str], Collection[int]] = lambda _: (),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        swap: Callable[[Path, Path], None] = exchange,
        lock_seconds: float = 10.0,
    ) -> None:
        """Prepare; nothing is read or written yet.

        Args:
            repository: its folder.
            keep_versions: how many versions of a model stay when one is published, the served one included.
            pinned: the versions of a model that stay in any case, because traffic is sent to them.
            clock: tells the time in UTC.
            swap: exchanges two folders; see `exchange`.
            lock_seconds: how long to wait for another process.
        """
        super().__init__(repository, clock=clock)
        self._keep_versions, self._pinned, self._swap = keep_versions, pinned, swap
        self._workplace = Workplace(self._repository, is_published=self._is_published, lock_seconds=lock_seconds)

    def recover(self) -> list[str]:
        """Put in order what killed processes left; other processes that are at work are left alone.

        Returns:
            What was done, one line each.
        """
        with explained(self._repository), self._workplace.locked("looking for what was left behind") as done:
            return done

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A scratch folder on the repository's file system, removed at the end."""
        with ExitStack() as stack:
            with explained(self._repository):
                folder = stack.enter_context(self._workplace.staged())
            yield folder

    def verify(self, name: str, *, quick: bool = True) -> list[str]:
        """What differs between a model's version files and its record, one line each.

        Args:
            name: the model.
            quick: don't read files whose size, time and inode are as they were; what was read is noted for next time.

        Raises:
            ModelRefused: there is no such model, or it has no record yet.
        """
        found, folder = self.record(name), self.existing(name)
        if found is None:
            raise ModelRefused(f"{name}: there is no record of it yet; nothing can be compared with it")
        with explained(name):
            now = record.refreshed(folder, found)  # before: what changes meanwhile is read again next time
            differences = record.verify(folder, found, quick=quick)
            if not differences and now != found:
                with self._workplace.locked(f"checking {name}"):
                    if self.record(name) == found:
                        self._write_record(now)
        return differences

    def candidate(self, name: str, prepared_folder: Path, into: Path) -> Path:
        """Make a model folder of its own for a rehearsal.

        Args:
            name: what the candidate is called, in its configuration too.
            prepared_folder: the complete model folder with the one version `1/`.
            into: the folder in which it is made.

        Returns:
            The folder.
        """
        target = into / self.folder(name).name
        with explained(name):
            link(prepared_folder, target)
            config = target / "config.pbtxt"
            if config.is_file():
                text = config.read_text(encoding="utf-8")
                config.unlink()  # it is a link
                config.write_text(named(text, name), encoding="utf-8")
        return target

    def publish(
        self, name: str, prepared: Prepared, *, source: str, consume: Sequence[Path] = (), sha256: str | None = None
    ) -> int:
        """Make a prepared model the newest version; versions that are too many are deleted, the oldest first.

        Args:
            name: the model; it may be new.
            prepared: what to publish.
            source: the name of the file or folder that it came from.
            consume: what is to be removed once it is published.
            sha256: the `digest` of `consume` at the time when it was read; default: what it is now.

        Returns:
            The version's number.

        Raises:
            ModelRefused: something else has the name, or what it came from was changed meanwhile.
        """
        place, consume = self.folder(name), [path.absolute() for path in consume]
        with explained(name), self._workplace.staged() as staged:
            digests = {str(path): record.digest([path]) for path in consume}
            total = record.digest(consume) if consume else ""
            if sha256 and consume and total != sha256:
                raise ModelRefused(f"{source}: was changed while it was looked at; it has to be looked at again")
            take_in(prepared.folder / _FIRST, staged / _FIRST)
            version = self._version(prepared, staged / _FIRST, source, sha256 or total)
            with self._workplace.locked(f"publishing {name}"):
                before = self._before_publishing(name, consume)
                version = replace(version, version=self.next_version(name) if before else 1)
                with_it = (before or ModelRecord(name)).with_version(version)
                after = history.retained(with_it, self._keep_versions, self._pinned(name))
                digests.pop(str(place), None)  # the exchange takes it away
                consumption = Consumption(name, version.version, version.source_sha256, digests)
                consumption.plan(staged)
                added = {version.version: staged / _FIRST}
                self._apply(Change(place, before, after, added, prepared.folder), staged)
                _consume(consumption, staged)
            return version.version

    def configure(self, name: str, prepared: Prepared) -> None:
        """Give a model that was made by hand the configuration of a prepared one; its versions stay as they are.

        Raises:
            ModelRefused: there is no such model.
        """
        with explained(name), self._workplace.staged() as staged, self._workplace.locked(f"configuring {name}"):
            before = self.known(self.existing(name).name)
            served = before.versions[max(before.kept)]
            about = prepared.description.as_dict()
            checks = tuple(asdict(check) for check in prepared.checks)
            after = before.with_version(replace(served, description=about, checks=checks, sample=prepared.sample))
            self._apply(Change(self.folder(name), before, after, {}, prepared.folder), staged)

    def rollback(self, name: str, to: int | None = None) -> int:
        """Serve an earlier version; those above it are retired. Going to a retired one brings it back.

        Args:
            name: the model.
            to: the version; default: the next lower one.

        Returns:
            The version that is served now.

        Raises:
            ModelRefused: there is no such model or version.
        """
        after = self._change(name, "rolling back", lambda before: history.rolled_back(before, to))
        return max(after.kept)

    def retire(self, name: str, version: int) -> None:
        """Take a version out of service; `rollback` brings it back.

        Raises:
            ModelRefused: there is no such model or version, or it is the only one.
        """
        self._change(name, "retiring a version of", lambda before: history.retired(before, version))

    def remove(self, name: str) -> None:
        """Delete a model with all its versions.

        Raises:
            ModelRefused: there is no such model.
        """
        with explained(name), self._workplace.staged() as staged, self._workplace.locked(f"removing {name}"):
            self.existing(name).rename(staged / name)
            sync(self._repository)

    def adopt(self, name: str, description: dict[str, Any] | None = None) -> ModelRecord:
        """Record a folder that was made by hand, as it is; what is recorded already stays.

        Args:
            name: the model.
            description: of the version that is served, if somebody looked into it.

        Raises:
            ModelRefused: there is no such model.
        """
        with explained(name), self._workplace.locked(f"recording {name}"):
            self.existing(name)
            found = self.known(name)
            if description is not None and found.served is not None:
                found = found.with_version(replace(found.versions[found.served], description=description))
            if found != self.record(name):
                self._write_record(found)
            return found

    def accept(self, name: str) -> ModelRecord:
        """Record the files of a model's versions as they are now, after changes by hand.

        Raises:
            ModelRefused: there is no such model.
        """
        with explained(name), self._workplace.locked(f"recording {name}"):
            folder = self.existing(name)
            found = self.known(name)
            for version in found.versions.values():
                found = found.with_version(replace(version, files=record.hash_files(folder / version.place)))
            self._write_record(found)
            return found

    def _version(self, prepared: Prepared, folder: Path, source: str, sha256: str) -> VersionRecord:
        """The record of a new version, before it has its number."""
        return VersionRecord(
            version=0,
            state="kept",
            published_at=self.now(),
            source=source,
            source_sha256=sha256,
            files=record.hash_files(folder),
            description=prepared.description.as_dict(),
            checks=tuple(asdict(check) for check in prepared.checks),
            sample=prepared.sample,
        )

    def _before_publishing(self, name: str, consumed: Sequence[Path]) -> ModelRecord | None:
        """The record of the model that is there; None if there is none, or nothing that would be lost."""
        place = self.folder(name)
        if place in consumed or not os.path.lexists(place):
            return None
        if is_model(place):
            return self.known(name)
        if place.is_dir() and not any(place.iterdir()):
            return None
        raise ModelRefused(
            f"{name}: {place} is in the way, which is not a model (it has no configuration, no version and no record); "
            "move it away or rename it"
        )

    def _change(self, name: str, doing: str, decide: Callable[[ModelRecord], ModelRecord]) -> ModelRecord:
        with explained(name), self._workplace.staged() as staged, self._workplace.locked(f"{doing} {name}"):
            before = self.known(name)
            after = decide(before)
            self._apply(Change(self.folder(name), before, after), staged)
            return after

    def _apply(self, change: Change, staged: Path) -> None:
        new, place = staged / "new", self.folder(change.after.name)
        assemble(change, new)
        if os.path.lexists(place):
            self._swap(new, place)
        else:
            new.rename(place)
            sync(self._repository)

    def _write_record(self, changed: ModelRecord) -> None:
        """Write it in place; it is not waited for that it reaches the disk, as it can be made again."""
        folder = self.folder(changed.name)
        new = folder / f"{FILE_NAME}.new"
        new.write_bytes(record.encode(changed))
        new.replace(folder / FILE_NAME)

    def _is_published(self, name: str, version: int, sha256: str) -> bool:
        try:
            found = self.record(name)
        except ModelRefused:
            return False
        return found is not None and version in found.versions and found.versions[version].source_sha256 == sha256


def _consume(consumption: Consumption, staged: Path) -> None:
    try:
        consumption.carry_out(staged)
    except OSError as error:
        raise SetupError(
            f"{consumption.model}: version {consumption.version} is published, but {error.filename} cannot be removed "
            f"({error.strerror}); remove it by hand"
        ) from None
