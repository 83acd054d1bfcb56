"""Functions that users write: found by `module:function` or `path/to/file.py:function`, errors told in the user's file.

own = user_function("metrics/ranking.py:agreement", base=Path("configs"))
with users_own("metrics/ranking.py:agreement"):
    value = own(original, result, inputs)
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path, PurePath
from types import ModuleType
from typing import Any

from converters.errors import ConfigError, ConversionError
from converters.nearest import nearest

_FORM = "write it as 'module:function' or 'path/to/file.py:function'"


def user_function(reference: str, base: Path) -> Callable[..., Any]:
    """The function that a reference names.

    A file is read anew each time; a module is imported once, as ever. Both find modules that lie beside them (for a
    module: in `base`) while they are loaded.

    Args:
        reference: `module:function`, or `path/to/file.py:function` with the path relative to `base`.
        base: the folder that the reference counts from, such as the one of the configuration.

    Raises:
        ConfigError: the reference has no such form, or there is no such file, module or function.
        ConversionError: the user's file failed while it was loaded; says where in it.
    """
    target, separator, name = reference.rpartition(":")
    if not (separator and target and name.isidentifier()):
        raise ConfigError(f"'{reference}' does not name a function", hint=_FORM)
    module = _file(reference, base / target) if _names_file(target) else _module(reference, target, base)
    function = getattr(module, name, None)
    if function is None:
        public = [known for known in vars(module) if not known.startswith("_")]
        hint = nearest(name, public, "define it there, at the top level")
        raise ConfigError(f"'{target}' has no function '{name}'", hint=hint)
    if not callable(function):
        raise ConfigError(f"'{reference}' is a {type(function).__name__}, not a function", hint="name a function")
    return function  # type: ignore[no-any-return]  # whatever a user wrote


@contextmanager
def users_own(reference: str) -> Iterator[None]:
    """Around each call of a user's function: what it raises becomes an error that tells the user's file and line.

    Errors of this package pass as they are, so that users can raise them on purpose. The end of a user's generator is
    an error here as well: step through it by `next(it, default)` or by a loop.

    Raises:
        ConversionError: the function failed.
    """
    try:
        yield
    except (ConversionError, MemoryError):  # for want of memory nobody's code is to blame
        raise
    except (Exception, SystemExit) as error:
        where = _where(reference, error)
        problem = str(error).strip().partition("\n")[0]
        told = f"{type(error).__name__}: {problem}" if problem else type(error).__name__
        hint = f"correct it at {where}" if where else "check what it takes and what it gives"
        raise ConversionError(
            f"'{reference}' failed{f' at {where}' if where else ''} with {told}", hint=hint
        ) from error


class _NeverCached(SourceFileLoader):
    """Leaves no `__pycache__` beside the user's file, and takes no stale one."""

    def path_stats(self, path: str) -> Mapping[str, Any]:
        raise OSError(f"{path} is always read")


def _names_file(target: str) -> bool:
    return target.endswith(".py") or "/" in target or "\\" in target


def _file(reference: str, path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"there is no file '{path}', which '{reference}' names", hint="correct the path")
    path = path.resolve()
    # A name of its own, so that a user's `json.py` does not take the place of another module.
    name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    loader = _NeverCached(name, str(path))
    module = importlib.util.module_from_spec(ModuleSpec(name, loader, origin=str(path)))
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses look their module up
    with _beside(path.parent), users_own(reference):
        loader.exec_module(module)
    return module


def _module(reference: str, target: str, base: Path) -> ModuleType:
    with _beside(base.resolve()), users_own(reference):
        try:
            return importlib.import_module(target)
        except ModuleNotFoundError as error:
            # Only what the reference itself names is a wrong reference; the rest is an import in the user's code.
            if error.name is None or not f"{target}.".startswith(f"{error.name}."):
                raise
            raise ConfigError(
                f"there is no module '{error.name}', which '{reference}' names",
                hint=f"install it, put it into '{base}', or name its file: 'path/to/file.py:function'",
            ) from error


@contextmanager
def _beside(folder: Path) -> Iterator[None]:
    entry = str(folder)
    sys.path.insert(0, entry)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if entry in sys.path:
            sys.path.remove(entry)


def _where(reference: str, error: BaseException) -> str:
    """The innermost line of the user's own file that took part, as `file:line`; empty if there is none."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    target = reference.rpartition(":")[0]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if _is_file_of(target, frame.filename):
            return f"{frame.filename}:{frame.lineno}"
    return ""


def _is_file_of(target: str, filename: str) -> bool:
    if _names_file(target):
        parts = [part for part in PurePath(target).parts if part not in {".", ".."}]
        return PurePath(filename).match(str(PurePath(*parts)))
    module = sys.modules.get(target)
    return module is not None and getattr(module, "__file__", None) == filename
