"""The file in which a builder keeps how long kernels took, so that the next build need not measure them again."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def read(path: Path) -> bytes:
    """What is in it; nothing where there is none yet.

    Raises:
        OSError: it is there and cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def write(path: Path, data: bytes) -> None:
    """Replace it as a whole, so that builds side by side never read half of one; the last to finish wins.

    Raises:
        OSError: the disk is full, or the folder cannot be written; the file is as it was before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
