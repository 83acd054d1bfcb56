"""A user's own function that says whether two answers agree, from a file of theirs; failures name its line."""

from __future__ import annotations

import importlib.util
import traceback
from collections.abc import Callable, Mapping
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gateway.core.errors import ConfigError, GatewayError
from gateway.tap.datatypes import Array

_FORM = "write it as FILE.py:NAME, with a path from where the gateway is started"


class FunctionFailed(GatewayError):
    """The function raised something, or gave what is no judgement; the message says where."""


class Judgement(NamedTuple):
    """What the function says.

    Attributes:
        agrees: whether the answers agree.
        score: how much, from 0 to 1.
    """

    agrees: bool
    score: float


class UserFunction:
    """One function, loaded once.

    Args:
        reference: FILE.py:NAME.
        least: from what score on answers agree, where the function gives a number.

    Raises:
        ConfigError: there is no such file or function, or the file fails to load.
    """

    def __init__(self, reference: str, least: float) -> None:
        self.reference, self._least = reference, least
        self._path, self._function = _load(reference)

    def judge(self, expected: Mapping[str, Array], got: Mapping[str, Array]) -> Judgement:
        """Ask the function.

        Args:
            expected: the baseline's outputs by name; of texts, arrays of bytes.
            got: the candidate's.

        Raises:
            FunctionFailed: it raised something, or gave neither a truth value nor a number from 0 to 1.
        """
        try:
            told = self._function(dict(expected), dict(got))
        except (Exception, SystemExit) as error:
            raise FunctionFailed(f"{self.reference} {_failure(self._path, error)}") from error
        if isinstance(told, (bool, np.bool_)):
            return Judgement(bool(told), float(told))
        score = float(told) if isinstance(told, Real) else -1.0
        if not 0 <= score <= 1:
            raise FunctionFailed(f"{self.reference} gave {told!r:.60}; give True, False or a number from 0 to 1")
        return Judgement(score >= self._least, score)


def _load(reference: str) -> tuple[str, Callable[..., Any]]:
    file, _, name = reference.rpartition(":")
    if not (file.endswith(".py") and name.isidentifier()):
        raise ConfigError(f"compare.function: {reference!r} names no function; {_FORM}")
    path = Path(file).expanduser().absolute()
    if not path.is_file():
        raise ConfigError(f"compare.function: there is no file {file!r}; {_FORM}")
    spec = importlib.util.spec_from_file_location(f"compare_{path.stem}", path)
    assert spec is not None  # noqa: S101 - the name ends in .py
    assert spec.loader is not None  # noqa: S101 - the same
    module = importlib.util.module_from_spec(spec)
    try:
        # Compiled here, so that a file that has just been changed is read, and no cache of it is left beside it.
        exec(compile(path.read_bytes(), str(path), "exec"), vars(module))  # noqa: S102 - the operator's own code
    except (Exception, SystemExit) as error:
        raise ConfigError(f"compare.function: {file} {_failure(str(path), error)}") from error
    function = vars(module).get(name)
    if not callable(function):
        there = ", ".join(key for key, value in vars(module).items() if callable(value) and key[0] != "_")
        raise ConfigError(f"compare.function: {file} has no function {name!r}; it has: {there or 'none'}")
    return str(path), function


def _failure(path: str, error: BaseException) -> str:
    """What went wrong, with the innermost line of the user's own file."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    if isinstance(error, SyntaxError) and error.filename == path:
        lines = [error.lineno]
    where = f" in line {lines[-1]}" if lines and lines[-1] else ""
    said = str(error).strip().partition("\n")[0]
    return f"failed{where} with {type(error).__name__}" + (f": {said:.200}" if said else "")
