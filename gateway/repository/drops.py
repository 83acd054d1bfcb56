"""What was dropped into a repository: files and folders that are no model folders yet, each with what belongs to it.

model_repository/
fraud.onnx  fraud.yaml  fraud.npz       one drop: a model file with its sidecars
speech/saved_model.pb ...               one drop: a folder that is a model, but no model folder of Triton's
digits/1/model.onnx                     no drop: Triton serves it as it is
.triton-gateway/inbox/NAME/...          one drop, as the command line and the control API put it there
.triton-gateway/source/...              drops that were fetched from an object store, model folders too
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.core.errors import ModelRefused
from gateway.repository import record
from gateway.repository.hints import sidecars
from gateway.repository.recognise import recognise
from gateway.repository.rehearsal import is_candidate
from gateway.repository.scan import SAFE_NAME

OURS = ".triton-gateway"
"""Where the gateway itself works."""
INBOX = Path(OURS) / "inbox"
SOURCE = Path(OURS) / "source"

_VERSION = re.compile(r"[1-9][0-9]*")
_MAYBE = frozenset({".json", ".txt", ".xml"})
"""Endings that models have as well as anything else: such a file is a drop only if it is recognised."""
_NEVER = frozenset({".cfg", ".log", ".md", ".npz", ".rst", ".sha256", ".toml", ".yaml", ".yml"})
_NEVER_NAMED = frozenset({"LICENSE", "LICENCE", "Makefile", "NOTICE", "README"})

Signature = tuple[tuple[str, int, int, int], ...]
"""Path, size, modification time and inode of each file: what changes when something is written."""


@dataclass(frozen=True, slots=True)
class Drop:
    """A model that wants to be served.

    Attributes:
        name: what it is to be called.
        source: its file or folder.
        files: everything that belongs to it, the source first.
        problem: why it cannot even be looked at, and what to do; empty if it can.
    """

    name: str
    source: Path
    files: tuple[Path, ...]
    problem: str = ""


def find(repository: Path) -> tuple[Drop, ...]:
    """All drops of a repository, in the order of their names."""
    found = [*_in_folder(repository), *_in_inbox(repository / INBOX), *_in_source(repository / SOURCE)]
    sources: dict[str, list[Drop]] = {}
    for drop in found:
        sources.setdefault(drop.name, []).append(drop)
    return tuple(_alone(drops) for _, drops in sorted(sources.items()))


def is_model_folder(folder: Path) -> bool:
    """Whether a folder is a model folder of Triton's, which is served as it is."""
    try:
        names = [entry.name for entry in os.scandir(folder)]
    except OSError:
        return False
    configured = "config.pbtxt" in names and "model.py" not in names  # a Python model may come with its configuration
    return configured or record.FILE_NAME in names or any(map(_VERSION.fullmatch, names))


def signature(files: Iterable[Path]) -> Signature:
    """What the files are now, folders with everything in them; missing ones are left out."""
    return tuple(sorted(_stats(files)))


def mark(seen: Signature) -> str:
    """A short name of a signature, the same wherever the repository's folder is seen from."""
    lines = (f"{path.rpartition('/')[2]}\0{size}\0{time}\0{inode}" for path, size, time, inode in seen)
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]


def is_being_written(files: Iterable[Path]) -> bool:
    """Whether a process of this machine holds one of the files open for writing, as far as the kernel tells.

    It tells only of the user's own files and of local file systems; what else is going on shows in `signature`.
    """
    return any(_has_writer(path) for each in files for path in _walk(each))


def belongings(source: Path) -> tuple[Path, ...]:
    """A model's file or folder, and what lies beside a file and belongs to it: sidecars and external data."""
    files = [source]
    if source.is_file():
        files += sidecars(source)
        if _is_recognised(source):
            kind = recognise(source)
            files += kind.companions(source) if hasattr(kind, "companions") else ()
    return tuple(dict.fromkeys(files))


def _in_folder(repository: Path) -> Iterator[Drop]:
    entries = [p for p in sorted(repository.iterdir()) if not p.name.startswith((".", "__"))]
    drops = [drop for entry in entries if (drop := _drop_of(entry)) is not None]
    return iter(_models(drops, repository))


def _models(drops: Sequence[Drop], folder: Path) -> list[Drop]:
    """Without those that lie in `folder` only because another one needs them, such as the folder of its labels."""
    taken = {folder / path.relative_to(folder).parts[0] for drop in drops for path in drop.files[1:]}
    return [drop for drop in drops if drop.source not in taken]


def _in_source(mirror: Path) -> Iterator[Drop]:
    if not mirror.is_dir():
        return
    yield from _in_folder(mirror)
    for folder in sorted(p for p in mirror.iterdir() if p.is_dir() and not p.name.startswith(".")):
        if is_model_folder(folder):
            yield _drop(folder.name, folder)


def _drop_of(entry: Path) -> Drop | None:
    try:
        return None if is_candidate(entry.name) else _look_at(entry)
    except FileNotFoundError:
        return None  # it was there a moment ago
    except OSError as error:
        return Drop(entry.stem, entry, (entry,), f"{entry.name}: cannot be read ({error.strerror}); allow it")


def _look_at(entry: Path) -> Drop | None:
    if entry.is_dir():
        empty = not any(entry.iterdir())
        return None if empty or is_model_folder(entry) else _drop(entry.name, entry)
    if entry.suffix.lower() in _NEVER or entry.stem in _NEVER_NAMED or not entry.is_file():
        return None
    if entry.suffix.lower() in _MAYBE and not _is_recognised(entry):
        return None
    return _drop(entry.stem, entry)


def _in_inbox(inbox: Path) -> Iterator[Drop]:
    if not inbox.is_dir():
        return
    for folder in sorted(p for p in inbox.iterdir() if p.is_dir() and not p.name.startswith(".")):
        inside = [p for p in sorted(folder.iterdir()) if not p.name.startswith(".")]
        drops = [_drop(p.stem, p) for p in inside if p.is_dir() or p.suffix.lower() not in _NEVER]
        models = _models(drops, folder)
        if models:
            yield Drop(folder.name, models[0].source, (folder,), _why_not_alone(models) or _why_not(folder.name))


def _drop(name: str, source: Path) -> Drop:
    return Drop(name, source, belongings(source), _why_not(name))


def _is_recognised(source: Path) -> bool:
    try:
        recognise(source)
    except ModelRefused:
        return False
    return True


def _why_not(name: str) -> str:
    if SAFE_NAME.fullmatch(name) and not is_candidate(name):
        return ""
    return (
        f"{name!r} cannot be a model's name: rename it with letters, digits, '.', '_' and '-' only, at most 128 of "
        "them, the first a letter or a digit"
    )


def _alone(drops: list[Drop]) -> Drop:
    """The one drop of a name; with a problem where there are several, and then with the files of all."""
    first = drops[0]
    files = tuple(dict.fromkeys(path for drop in drops for path in drop.files))
    return Drop(first.name, first.source, files, first.problem or _why_not_alone(drops))


def _why_not_alone(drops: list[Drop]) -> str:
    if len(drops) == 1:
        return ""
    names = " and ".join(drop.source.name for drop in drops)
    return f"{names} would be one model; keep one of them, or give them different names"


def _stats(files: Iterable[Path]) -> Iterator[tuple[str, int, int, int]]:
    for each in files:
        for path in _walk(each):
            try:
                found = path.lstat()
            except OSError:
                continue
            yield str(path), found.st_size, found.st_mtime_ns, found.st_ino


def _walk(path: Path) -> Iterator[Path]:
    if path.is_dir() and not path.is_symlink():
        for folder, _, names in os.walk(path):
            yield from (Path(folder) / name for name in names)
    else:
        yield path


def _has_writer(path: Path) -> bool:
    """A lease on reading is refused while somebody writes."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False  # not ours, or not a file system that has leases
    finally:
        os.close(handle)
    return False
