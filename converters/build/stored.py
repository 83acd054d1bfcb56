"""Result values as JSON and back: between processes and runs they are files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

T = TypeVar("T")


def store(path: Path, value: Any) -> None:
    """Write a dataclass, or a mapping or sequence of such, as JSON."""
    # Not pydantic's own JSON, which writes null for the infinities that relative errors can be.
    path.write_text(json.dumps(plain(value), indent=2), "utf-8")


def stored(path: Path, kind: type[T]) -> T:
    """Read what `store` wrote.

    Raises:
        ValueError: it is none of that kind.
    """
    return TypeAdapter(kind).validate_json(path.read_bytes())


def plain(value: Any) -> Any:
    """A dataclass as the values that JSON has."""
    return TypeAdapter(type(value)).dump_python(value, mode="json")
