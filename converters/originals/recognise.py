"""Which kind of model a path is."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from converters.engines.validity import ENDINGS
from converters.errors import BadSource
from converters.originals.base import Original
from converters.originals.exported import ExportedOriginal
from converters.originals.factory import factory
from converters.originals.keras import KerasOriginal
from converters.originals.lightgbm import LightGBMOriginal
from converters.originals.onnx import OnnxOriginal
from converters.originals.saved_model import SavedModelOriginal
from converters.originals.scikit_learn import ScikitLearnOriginal
from converters.originals.torchscript import TorchScriptOriginal
from converters.originals.xgboost import XGBoostOriginal

_READABLE = "model.savedmodel/, .onnx, .keras, .h5, .pt or .jit (TorchScript), .pt2, .skops, .ubj, .json, .txt, or \
path/to/file.py:function"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of file.

    Attributes:
        endings: of its name.
        original: makes the original of it.
        recognises: whether a path with such a name is one; looks at what must be there at least.
    """

    endings: tuple[str, ...]
    original: Callable[[Path], Original]
    recognises: Callable[[Path], bool]


def original(source: str | Path, *, depends: tuple[Path, ...] = ()) -> Original:
    """What a source is: a model's file or folder, a model's folder in a repository, or a Python function.

    Args:
        source: a path, or `path/to/file.py:function`, or `module:function`. Of a repository's model, the highest
            version is taken.
        depends: further files that a function's model is made of.

    Raises:
        BadSource: there is nothing, or nothing that is known; says what is known.
    """
    path = Path(source)
    if not path.exists() and ":" in str(source):
        return factory(str(source), depends)
    if not path.exists():
        raise BadSource(f"there is no '{path}'", hint=f"check the path; known are {_READABLE}").at(model=str(source))
    if path.is_dir() and not (path / "saved_model.pb").exists() and not path.name.endswith(".savedmodel"):
        return _of_file(_in_repository(path))
    return _of_file(path)


def _in_repository(folder: Path) -> Path:
    """The model's file in its highest version."""
    versions = [folder] if folder.name.isdigit() else _versions(folder)
    if not versions:
        raise BadSource(
            f"'{folder}' has no numbered version folder with a model in it",
            hint=f"put the model into {folder / '1'}, or fetch it first; or give its file: {_READABLE}",
        ).at(model=folder.name)
    version = versions[-1]
    models = sorted(file for file in version.iterdir() if file.name.startswith("model.") and _kinds(file))
    if len(models) != 1:
        found = ", ".join(f"'{file.name}'" for file in models) or "none that can be converted"
        there = ", ".join(f"'{file.name}'" for file in sorted(version.iterdir())) or "nothing"
        raise BadSource(
            f"version {version.name} holds {there}; of its models, {found}",
            hint="give the path of the one to convert; an engine (model.plan) is no source",
        ).at(model=version.parent.name)
    return models[0]


def _versions(folder: Path) -> list[Path]:
    numbered = (child for child in folder.iterdir() if child.is_dir() and child.name.isdigit())
    return sorted((child for child in numbered if any(child.iterdir())), key=lambda child: int(child.name))


def _of_file(path: Path) -> Original:
    _refuse(path)
    if (path / "saved_model.pb").is_file():
        return SavedModelOriginal(path)
    kinds = _kinds(path)
    for kind in kinds:
        if kind.recognises(path):
            return kind.original(path)
    if kinds:
        raise BadSource(
            f"'{path}' is not what its name says, or is cut short", hint="copy the whole file again, or save it again"
        ).at(model=path.name)
    raise BadSource(f"'{path}' is of no known format", hint=f"known are {_READABLE}").at(model=path.name)


def _refuse(path: Path) -> None:
    if path.suffix in ENDINGS:
        raise BadSource(
            f"'{path}' is an engine, from which no other can be built", hint="give the model that it was built from"
        ).at(model=path.name)
    if path.suffix in {".pkl", ".pickle", ".joblib"} or (path.is_file() and _is_pickle(path)):
        raise BadSource(
            f"'{path}' is a pickle, which may run any code when it is opened",
            hint="save a scikit-learn model by skops.io.dump, XGBoost's and LightGBM's by save_model",
        ).at(model=path.name)


def _kinds(path: Path) -> list[Kind]:
    return [kind for kind in KINDS if path.name.lower().endswith(kind.endings)]


def _is_pickle(path: Path) -> bool:
    return _first(path, 1) == b"\x80" and path.suffix not in {".onnx", ".pb"}


def _first(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)


def _archive(path: Path) -> set[str]:
    """The names in an archive, without the folder that PyTorch puts them in; empty if it is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return set()
    return {*names, *(name.partition("/")[2] for name in names)}


def _is_torchscript(path: Path) -> bool:
    names = _archive(path)
    return "constants.pkl" in names and any(name.startswith("code/") for name in names)


def _is_exported(path: Path) -> bool:
    return any(n.startswith("models/") or n == "serialized_exported_program.json" for n in _archive(path))


def _is_xgboost(path: Path) -> bool:
    if path.suffix != ".json":
        return _first(path, 1) == b"{"
    try:
        return "learner" in json.loads(path.read_bytes())
    except ValueError:
        return False


# In the order in which they are tried; the first that recognises a file of such a name takes it.
KINDS: tuple[Kind, ...] = (
    Kind((".savedmodel",), SavedModelOriginal, lambda path: (path / "saved_model.pb").is_file()),
    Kind((".onnx",), OnnxOriginal, lambda path: path.stat().st_size > 0),
    Kind((".keras",), KerasOriginal, lambda path: "config.json" in _archive(path)),
    Kind((".h5", ".hdf5"), KerasOriginal, lambda path: _first(path, 8) == b"\x89HDF\r\n\x1a\n"),
    Kind((".pt", ".pth", ".jit", ".ts"), TorchScriptOriginal, _is_torchscript),
    Kind((".pt2", ".pt"), ExportedOriginal, _is_exported),
    Kind((".skops",), ScikitLearnOriginal, lambda path: "schema.json" in _archive(path)),
    Kind((".ubj", ".json", ".xgb"), XGBoostOriginal, _is_xgboost),
    Kind((".txt",), LightGBMOriginal, lambda path: _first(path, 5) == b"tree\n"),
)
