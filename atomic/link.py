"""Make a file or folder a second time without a second copy of its content."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

_NO_LINKS = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES})


def link(source: Path, target: Path) -> None:
    """Make the same file or folder once more: by hard links, or by copies where there can be none.

    Compiled Python is left out: it is made anew, and nobody's content.
    """
    if source.is_symlink():
        target.symlink_to(source.readlink())
    elif source.is_dir():
        target.mkdir()
        for path in source.iterdir():
            if path.name != "__pycache__":
                link(path, target / path.name)
        shutil.copystat(source, target)
    else:
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            shutil.copy2(source, target)
