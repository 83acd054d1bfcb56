"""The model folders of a repository: which there are, which may be served, and when one has changed.

A version that was published is not to change: its files are held against the record before it is served. Folders that
people keep by hand may change: they are taken as they are, and get a new record each time. What is loaded stays loaded
while its folder is there: a folder that went bad is shown with the reason, and nobody's requests fail for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from gateway.config import RepositorySection
from gateway.core.errors import GatewayError, ModelRefused, SetupError
from gateway.repository import drops, inbox, record
from gateway.repository.checked import concerning, tampered
from gateway.repository.description import Description
from gateway.repository.engine_files import origin
from gateway.repository.kinds import configured
from gateway.repository.progress import News, NewsKind
from gateway.repository.record import ModelRecord
from gateway.repository.rehearsal import is_candidate
from gateway.repository.scan import ModelFolder, installed_frameworks, look_at
from gateway.repository.store import Store


class Holdings:
    """What is held; `open` and `look` are called by one thread at a time, and replace the attributes as a whole.

    Args:
        store: what changes the repository.
        section: how it is configured.

    Attributes:
        folders: the model folders, by name.
        served: those that may be served, each with a fingerprint of the files that are to be loaded.
        problems: why folders may not be loaded as they are, by name; what was loaded before is still in `served`.
        error: why the repository cannot be changed here; None if it can.
        busy: folders that somebody is writing; they are to be looked at again.
    """

    def __init__(self, store: Store, section: RepositorySection) -> None:
        self._store = store
        self._folder, self._frameworks = section.path, section.frameworks
        self._installed = installed_frameworks()
        self._news: list[News] = []
        self._unrecorded: set[str] = set()  # served without a record, because it could not be written
        self.folders: dict[str, ModelFolder] = {}
        self.served: dict[str, str] = {}
        self.problems: dict[str, str] = {}
        self.error: str | None = None
        self.busy: frozenset[str] = frozenset()

    @property
    def gpus(self) -> dict[str, str]:
        """For each model that runs on GPUs only, which one it needs."""
        return {name: folder.gpu for name, folder in self.folders.items() if folder.gpu}

    def open(self) -> list[News]:
        """Put right what a killed process left, and look at every folder.

        Raises:
            SetupError: the repository cannot be read.
        """
        names = self._names()
        self._get_ready()
        return self.look(names)

    def look(self, names: Iterable[str]) -> list[News]:
        """Look at these folders again.

        Returns:
            What a person may want to hear of it.

        Raises:
            SetupError: the repository cannot be read.
        """
        self.folders, self.served, self.problems = dict(self.folders), dict(self.served), dict(self.problems)
        names = {*names, *self._gone()}
        if self.error is not None:
            there = self._names()
            self._get_ready()
            names |= set(there) if self.error is None else set()  # those without a record get one
        busy = {name for name in names if drops.is_being_written([self._folder / name])}
        for name in sorted(names - busy):
            self._look_at(name)
        self.busy = (self.busy - names) | busy
        news, self._news = self._news, []
        return news

    def _get_ready(self) -> None:
        """Find out whether the repository can be written, and put it in order if so."""
        try:
            self._news += [News(NewsKind.TROUBLE, message=line) for line in self._store.recover()]
            inbox.open_in(self._folder)
            self.error = None
        except GatewayError as error:
            self.error = f"nothing can be published in the repository: {error.message}"
        except OSError as error:
            self.error = f"nothing can be published in the repository: {error.filename}: {error.strerror}"

    def _names(self) -> list[str]:
        try:
            with os.scandir(self._folder) as entries:
                return [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
        except OSError as error:
            raise SetupError(
                f"{self._folder}: the model repository cannot be read ({error.strerror}); name another with "
                "--set repository.path=FOLDER"
            ) from None

    def _gone(self) -> list[str]:
        known = self.served.keys() | self.problems.keys()
        return [name for name in known if not os.path.isdir(f"{self._folder}/{name}")]  # noqa: PTH112 - a path object costs

    def _look_at(self, name: str) -> None:
        path = self._folder / name
        if is_candidate(name) or not drops.is_model_folder(path):
            self._drop(name)
            return
        try:
            fingerprint = fingerprint_of(path)
            if self.served.get(name) == fingerprint and name not in self.problems and name not in self._unrecorded:
                return
            folder = look_at(path, self._frameworks, self._installed)
            problem = folder.problem or self._check(folder)
        except GatewayError as error:
            problem = error.message
        except OSError as error:
            problem = f"{error.filename}: cannot be read ({error.strerror})"
        else:
            self.folders[name] = folder
        self._note(name, problem, "" if problem else fingerprint)

    def _note(self, name: str, problem: str | None, fingerprint: str) -> None:
        if problem is None:
            self.problems.pop(name, None)
            self.served[name] = fingerprint
            return
        if name in self.served:
            problem += "; what was loaded before is still served"
            if self.problems.get(name) != problem:
                self._news.append(News(NewsKind.TROUBLE, name, f"{name}: {problem}"))
        self.problems[name] = problem

    def _drop(self, name: str) -> None:
        """The folder is gone, or no model's folder any more."""
        known = self.folders.pop(name, None) or self.served.get(name) or self.problems.get(name)
        self.problems.pop(name, None)
        self.served.pop(name, None)
        self._unrecorded.discard(name)
        if known:
            self._news.append(News(NewsKind.REMOVED, name))

    def _check(self, folder: ModelFolder) -> str | None:
        """Hold a folder against its record, and record what people keep by hand; why it may not be served, or None.

        Raises:
            ModelRefused: its record cannot be understood.
            OSError: its files cannot be read.
        """
        name, known = folder.name, record.read(folder.path)
        differences = self._differences(folder.path, known) if known else []
        if known and known.served is not None and known.versions[known.served].source:
            return tampered(name, differences[0]) if differences else None
        if differences:
            self._news.append(News(NewsKind.CHANGED, name, differences[0]))
            self._write(name, lambda: self._store.accept(name))
        if differences or known is None or name in self.served:  # then its configuration may be another too
            self._write(name, lambda: self._store.adopt(name, _described(folder)))
        return None

    def _differences(self, folder: Path, known: ModelRecord) -> list[str]:
        """What differs between the version that Triton would take and the record; the others are not loaded."""
        served = known.served or 0
        found = None
        if self.error is None:
            with contextlib.suppress(SetupError):  # what was read cannot be noted in the record
                found = self._store.verify(folder.name)
        if found is None:
            found = record.verify(folder, known, quick=True)
        return concerning(served, found)

    def _write(self, name: str, change: Callable[[], object]) -> None:
        """Write a record, where that can be done; a folder that nobody can write is served without."""
        self._unrecorded.add(name)
        if self.error is None:
            with contextlib.suppress(SetupError):
                change()
                self._unrecorded.discard(name)


def fingerprint_of(folder: Path) -> str:
    """What changes when a model's configuration or the files of one of its versions do.

    Raises:
        OSError: it cannot be read.
    """
    lines = sorted(f"{name}\0{size}\0{time}" for name, size, time in _files(folder))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _files(folder: Path) -> Iterator[tuple[str, int, int]]:
    pending = [("", os.fspath(folder))]
    while pending:
        prefix, path = pending.pop()
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith((".", "__")) or entry.name.endswith(".md"):
                    continue
                if entry.is_dir():
                    pending.append((f"{prefix}{entry.name}/", entry.path))
                else:
                    found = entry.stat()
                    yield f"{prefix}{entry.name}", found.st_size, found.st_mtime_ns


def _described(folder: ModelFolder) -> dict[str, Any] | None:
    """What a hand-written configuration says of a model, if it gives every input and output; no framework is asked."""
    try:
        config = configured.read_config(folder.path)
    except ModelRefused:
        return None  # Triton will say so
    signature = configured.signature(config) if config else None
    if signature is None:
        return None
    version = folder.path / str(max(folder.versions))
    return Description(
        kind="triton",
        backend=folder.backend or "",
        framework=folder.framework,
        inputs=signature[0],
        outputs=signature[1],
        batches=config.max_batch_size > 0,
        filename=config.default_model_filename,
        size_bytes=sum(size for _, size, _ in _files(version)),
        origin={"format": "Triton model folder", **origin(version)},
    ).as_dict()
