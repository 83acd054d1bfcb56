"""Reads a YAML file into a typed section, and tells a mistake in it as the gateway's own error."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from gateway.core.errors import ConfigError
from typed_yaml import read as typed_yaml

Model = TypeVar("Model", bound=BaseModel)


def read(
    model: type[Model],
    path: Path | None,
    overrides: tuple[str, ...] = (),
    check: typed_yaml.Check[Model] = lambda _: (),
) -> Model:
    """Read a configuration; see `typed_yaml.read.read`.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or says something that the gateway does not know.
    """
    try:
        return typed_yaml.read(model, path, overrides, check)
    except typed_yaml.Mistake as mistake:
        raise ConfigError(str(mistake)) from None
