"""Where the files beside the code are: in a checkout at its root, in an installed gateway inside the package."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def asset(name: str) -> Path:
    """The folder `name`, such as "backends" or "examples"."""
    installed = _PACKAGE / "_assets" / name
    return installed if installed.exists() else _PACKAGE.parent / name
