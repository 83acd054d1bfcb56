"""How conversions compose: each takes its source as a value, or as another conversion that makes it when asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

T = TypeVar("T")
Source: TypeAlias = T | Callable[[], T]


def value_of(source: Source[T]) -> T:
    """The value itself, or what the conversion gives; a value that can be called, such as a model, is no source."""
    return source() if callable(source) else source
