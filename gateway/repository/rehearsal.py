"""The folder under which a new version of a model is tried out beside the one that is served."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from gateway.repository.configure import rename

CANDIDATE = "--candidate"
"""The end of the name under which a new version is tried out beside the one that is served."""

Take = Callable[[Path, Path], None]
"""Puts a file or folder at another path."""

_LONGEST = 128  # of a model's name
_FORGOTTEN_SECONDS = 3600.0  # a rehearsal takes minutes at most


def candidate_name(model: str) -> str:
    """A name that nobody else uses at the same time, and that shows what it is."""
    end = f"-{secrets.token_hex(4)}{CANDIDATE}"
    return f"{model[: _LONGEST - len(end)]}{end}"


def is_candidate(name: str) -> bool:
    """Whether a name was made by `candidate_name`."""
    return name.endswith(CANDIDATE)


def stage(folder: Path, into: Path, name: str, take: Take) -> Path:
    """Make a model folder that is like another one but for its name; it appears at once, and complete.

    Args:
        folder: a complete Triton model folder.
        into: the folder to make it in.
        name: of the new folder, and in its `config.pbtxt`.
        take: puts a file or folder of the old one, except `config.pbtxt`, at a path of the new one.
    """
    hidden, place = into / f".{name}", into / name
    hidden.mkdir()
    try:
        for path in folder.iterdir():
            if path.name == "config.pbtxt":
                (hidden / path.name).write_text(rename(path.read_text(encoding="utf-8"), name), encoding="utf-8")
            elif not path.name.startswith("."):
                take(path, hidden / path.name)
        hidden.rename(place)
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise
    return place


def take_by_link(source: Path, target: Path) -> None:
    """A symbolic link to it."""
    target.symlink_to(source.resolve())


def take_whole(source: Path, target: Path) -> None:
    """All of it, by hard links where the file system has them, so that it is there for whoever shares the folder."""
    if source.is_dir():
        shutil.copytree(source, target, copy_function=_link_or_copy)
    else:
        _link_or_copy(str(source), str(target))


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def clear_forgotten(repository: Path) -> None:
    """Remove what rehearsals that were killed have left; others may be at one right now."""
    for place in (*repository.glob(f"*{CANDIDATE}"), *repository.glob(f".*{CANDIDATE}")):
        try:
            age = time.time() - place.lstat().st_mtime
        except OSError:
            continue  # somebody else was quicker
        if age > _FORGOTTEN_SECONDS:
            shutil.rmtree(place, ignore_errors=True)
