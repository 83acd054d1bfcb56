"""Which version of a model Triton should serve, as far as its folder says."""

from __future__ import annotations

import re
from pathlib import Path

_CHOSEN = re.compile(r"version_policy\s*:?\s*\{\s*specific\b")
_VERSION = re.compile(r"[1-9][0-9]*")


def latest(folder: Path) -> int | None:
    """The highest version of a model folder; None if its `config.pbtxt` may choose another, or if there is none."""
    try:
        if _CHOSEN.search((folder / "config.pbtxt").read_text("utf-8", "replace")):
            return None
    except FileNotFoundError:
        pass  # Triton completes it, and serves the highest
    except OSError:
        return None
    try:
        versions = [int(path.name) for path in folder.iterdir() if _VERSION.fullmatch(path.name) and path.is_dir()]
    except OSError:
        return None
    return max(versions, default=None)
