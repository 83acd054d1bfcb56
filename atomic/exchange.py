"""Exchange two folders in one step, so that whoever looks sees the one or the other and never neither.

`renameat2` does it in the kernel. Where a file system can't, it takes three renames; a journal beside the staged folder
says what was going on, so that `repair` finishes an exchange in which the process was killed.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EXDEV})

_JOURNAL = "exchange.json"
_ASIDE = "aside"


def exchange(staged: Path, place: Path, *, native: Callable[[Path, Path], None] | None = None) -> None:
    """Exchange two files or folders of one file system; the result has reached the disk when this returns.

    Args:
        staged: one of the two, in a folder that holds nothing else than what `repair` may find there.
        place: the other one.
        native: exchanges in one step, or raises the OSError of a system that cannot; default: `renameat2`.

    Raises:
        OSError: nothing was exchanged; or, where it takes several steps, `repair` finishes it.
    """
    try:
        (native or _renameat2)(staged, place)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        _in_steps(staged, place)
    sync(place.parent)
    sync(staged.parent)


def repair(folder: Path) -> bool:
    """Finish the exchange that was going on with something staged in this folder.

    Returns:
        whether there was one.
    """
    journal = folder / _JOURNAL
    try:
        names = json.loads(journal.read_bytes())
    except FileNotFoundError:
        return False
    staged, place, aside = folder / names["staged"], folder / names["place"], folder / _ASIDE
    if os.path.lexists(aside):
        if os.path.lexists(staged):
            discard(place)  # what is left of it where it had to be copied aside
            staged.rename(place)
        aside.rename(staged)
    journal.unlink()
    return True


def write(path: Path, content: bytes) -> None:
    """Write a file as a whole: after a crash there is the old content or the new one."""
    new = path.with_name(f"{path.name}.new")
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Have a file's content, or a folder's entries, reach the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems have no such thing for folders
            raise
    finally:
        os.close(handle)


def discard(path: Path) -> None:
    """Delete a file, a link, or a folder with all that is in it; nothing if there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _renameat2(staged: Path, place: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    rename = getattr(libc, "renameat2", None)
    if rename is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), str(place))
    if rename(_AT_FDCWD, os.fsencode(staged), _AT_FDCWD, os.fsencode(place), _RENAME_EXCHANGE):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(place))


def _in_steps(staged: Path, place: Path) -> None:
    folder = staged.parent
    names = {"staged": staged.name, "place": os.path.relpath(place, folder)}
    write(folder / _JOURNAL, json.dumps(names).encode())
    _set_aside(place, folder / _ASIDE)
    repair(folder)


def _set_aside(place: Path, aside: Path) -> None:
    try:
        place.rename(aside)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # A folder of a lower layer of an overlay file system, such as one of a container's image.
        copy = aside.with_name(f"{aside.name}.copy")
        shutil.copytree(place, copy, symlinks=True)
        copy.rename(aside)
