"""Drops with a name of their own: how the command line and the control API hand a model to a gateway that runs.

A drop is put together under a hidden name and appears by one rename, so it is never seen half.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from gateway.core.errors import ModelRefused
from gateway.repository.description import Tensor
from gateway.repository.drops import INBOX, belongings
from gateway.repository.reader import explained
from gateway.repository.rehearsal import is_candidate
from gateway.repository.scan import SAFE_NAME

_FORGOTTEN_SECONDS = 3600.0  # nothing is copied for that long without a byte being written


def put(repository: Path, name: str, source: Path, inputs: Sequence[Tensor] = ()) -> Path:
    """Copy a model file or folder, with what belongs to it, into the inbox.

    Args:
        repository: the model repository.
        name: what the model is to be called.
        source: its file or folder.
        inputs: what is to be said about its inputs.

    Returns:
        The drop's folder; it is gone when the model was published.

    Raises:
        ModelRefused: there is no such file, the name cannot be one, or a drop of this name waits already.
        SetupError: it cannot be read, or the repository cannot be written.
    """
    if not SAFE_NAME.fullmatch(name) or is_candidate(name):
        raise ModelRefused(
            f"{name!r} cannot be a model's name: letters, digits, '.', '_' and '-' only, the first a letter or a digit"
        )
    if not source.exists():
        raise ModelRefused(f"{source}: there is no such file or folder")
    target = repository / INBOX / name
    with explained(name), _hidden(target) as folder:
        if target.exists():
            raise _waiting(target)
        for path in belongings(source):
            _copy(path, folder / _place(path, source))
        if inputs:
            _say(inputs, folder / source.name)
        try:
            folder.rename(target)
        except OSError:
            if target.exists():  # somebody else was quicker
                raise _waiting(target) from None
            raise
    return target


def take_back(drop: Path) -> None:
    """Remove a drop that was put there, for instance because it was refused."""
    with contextlib.suppress(FileNotFoundError):
        gone = drop.rename(drop.with_name(f".{drop.name}.{uuid4().hex}"))
        shutil.rmtree(gone)


def open_in(repository: Path) -> None:
    """Make the inbox, because a folder that is new is noticed late, and remove what killed processes left in it.

    Raises:
        OSError: the repository cannot be written.
    """
    inbox = repository / INBOX
    inbox.mkdir(parents=True, exist_ok=True)
    for path in inbox.glob(".*"):
        if time.time() - _last_change(path) > _FORGOTTEN_SECONDS:
            shutil.rmtree(path, ignore_errors=True)


def _last_change(folder: Path) -> float:
    times = [folder.stat().st_mtime]
    for where, _, names in os.walk(folder):
        times += [(Path(where) / name).lstat().st_mtime for name in names]
    return max(times)


def _waiting(target: Path) -> ModelRefused:
    return ModelRefused(f"{target.name} is being published already; wait for it, or remove {target}")


@contextlib.contextmanager
def _hidden(target: Path) -> Iterator[Path]:
    folder = target.with_name(f".{target.name}.{uuid4().hex}")
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _place(path: Path, source: Path) -> Path:
    """Where it lies relative to the source: models and sidecars name what is in folders beside them."""
    return path.relative_to(source.parent) if path.is_relative_to(source.parent) else Path(path.name)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source, target)


def _say(inputs: Sequence[Tensor], source: Path) -> None:
    """Put the inputs into the sidecar, in place of those that it has of the same names."""
    plain = source / "model.yaml" if source.is_dir() else source.with_suffix(".yaml")
    sidecar = next((path for path in (plain, plain.with_suffix(".yml")) if path.exists()), plain)
    said = _read(sidecar)
    ours = [{"name": t.name, "datatype": t.datatype, "shape": list(t.shape)} for t in inputs]
    names = {each["name"] for each in ours}
    theirs = said.get("inputs") or []
    kept = [each for each in theirs if not (isinstance(each, dict) and each.get("name") in names)]
    said["inputs"] = [*kept, *ours]
    sidecar.unlink(missing_ok=True)  # it may be a link
    sidecar.write_text(yaml.safe_dump(said, sort_keys=False), encoding="utf-8")


def _read(sidecar: Path) -> dict[str, Any]:
    try:
        said = yaml.safe_load(sidecar.read_text(encoding="utf-8")) if sidecar.exists() else {}
    except (yaml.YAMLError, UnicodeDecodeError):
        said = None
    if not isinstance(said, dict) or not isinstance(said.get("inputs") or [], list):
        raise ModelRefused(f"{sidecar.name}: this is not YAML with keys such as `inputs:`; correct it")
    return said
