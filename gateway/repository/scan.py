"""Look through a model repository: which models are there, and which of them can be served here, and why not.

Nothing is loaded and no framework is imported, so it costs the same for a thousand models as for their file names.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from gateway.core.errors import SetupError
from gateway.repository.config_text import top_level_strings
from gateway.repository.engine_files import needed_gpu

# A model's name becomes a part of a shell command inside Triton, and of URLs.
SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

_FRAMEWORK_OF_BACKEND = {"onnxruntime": "onnx", "pytorch": "pytorch", "tensorflow": "tensorflow", "fil": "trees"}
_PACKAGE_OF_FRAMEWORK = {"onnx": "onnxruntime", "pytorch": "torch", "tensorflow": "tensorflow", "trees": "treelite"}
_BACKEND_OF_PLATFORM = {
    "onnxruntime_onnx": "onnxruntime",
    "pytorch_libtorch": "pytorch",
    "tensorflow_graphdef": "tensorflow",
    "tensorflow_savedmodel": "tensorflow",
    "tensorrt_plan": "tensorrt",
    "ensemble": "ensemble",
}
_FILES_OF_BACKEND = {
    "onnxruntime": ("model.onnx",),
    "pytorch": ("model.pt", "model.pt2"),
    "tensorflow": ("model.savedmodel", "model.graphdef"),
    "tensorrt": ("model.plan",),
    "openvino": ("model.xml",),
    "fil": ("xgboost.json", "xgboost.ubj", "model.txt", "checkpoint.tl", "xgboost.model"),
    "python": ("model.py",),
}

_VERSION = re.compile(r"[1-9][0-9]*")


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """One folder of a repository.

    Attributes:
        name: the folder's name, which is the model's.
        path: the folder.
        backend: as in `config.pbtxt`, or by the files that are there; None if neither says.
        framework: what the backend needs installed; None if it needs nothing.
        versions: those that have a model file, ascending.
        problem: why it cannot be served here, and what to do; None if it can.
        gpu: the GPU without which no Triton can serve it; empty if it needs none.
    """

    name: str
    path: Path
    backend: str | None
    framework: str | None
    versions: tuple[int, ...]
    problem: str | None
    gpu: str = ""


def installed_frameworks() -> frozenset[str]:
    """The frameworks whose package can be imported; none is imported."""
    return frozenset(
        framework for framework, package in _PACKAGE_OF_FRAMEWORK.items() if importlib.util.find_spec(package)
    )


def scan(repository: Path, frameworks: Collection[str] | None) -> tuple[ModelFolder, ...]:
    """Look at each folder of the repository, in the order of their names.

    Args:
        repository: the model repository; hidden folders in it are passed over.
        frameworks: only models of these are to be served; None for every framework that is installed.

    Raises:
        SetupError: the repository cannot be read.
    """
    try:
        folders = sorted(p for p in repository.iterdir() if p.is_dir() and not p.name.startswith("."))
    except OSError as error:
        raise SetupError(
            f"{repository}: the model repository cannot be read ({error.strerror}); name another with "
            "--set repository.path=FOLDER"
        ) from None
    installed = installed_frameworks()
    return tuple(look_at(folder, frameworks, installed) for folder in folders)


def look_at(folder: Path, frameworks: Collection[str] | None, installed: Collection[str]) -> ModelFolder:
    """Look at one folder; `installed` are the frameworks that can be imported."""
    if not SAFE_NAME.fullmatch(folder.name):
        unsafe = "the name may have letters, digits, '.', '_' and '-' only, and begins with a letter or a digit"
        return ModelFolder(folder.name, folder, None, None, (), unsafe)
    try:
        settings = _read_settings(folder / "config.pbtxt")
        backend, versions = _find_versions(folder, settings)
    except OSError as error:
        unreadable = f"{error.filename}: cannot be read ({error.strerror})"
        return ModelFolder(folder.name, folder, None, None, (), unreadable)
    framework = _FRAMEWORK_OF_BACKEND.get(backend or "")
    problem = _framework_problem(framework, frameworks, installed) or (None if versions else _no_version(backend))
    gpu = needed_gpu(folder / str(versions[-1])) if backend == "tensorrt" and versions else ""
    return ModelFolder(folder.name, folder, backend, framework, versions, problem, gpu)


def _framework_problem(
    framework: str | None, frameworks: Collection[str] | None, installed: Collection[str]
) -> str | None:
    if framework is None:
        return None
    if frameworks is not None and framework not in frameworks:
        return f"{framework} is not among the selected frameworks: {', '.join(sorted(frameworks)) or 'none'}"
    if framework not in installed:
        return f"{framework} is not installed; install the extra: pip install 'triton-gateway[{framework}]'"
    return None


def _no_version(backend: str | None) -> str:
    example = _FILES_OF_BACKEND.get(backend or "", ("model.onnx",))[0]
    return f"there is no version folder with a model file, such as 1/{example}; run `make models` for the samples"


def _find_versions(folder: Path, settings: dict[str, str]) -> tuple[str | None, tuple[int, ...]]:
    """The backend, and the versions that have a file for it."""
    backend = settings.get("backend") or _BACKEND_OF_PLATFORM.get(settings.get("platform", ""))
    contents = {
        int(version.name): {path.name for path in version.iterdir()}
        for version in folder.iterdir()
        if _VERSION.fullmatch(version.name) and version.is_dir()
    }
    if backend is None:
        present = set().union(*contents.values())
        backend = next((b for b, files in _FILES_OF_BACKEND.items() if present.intersection(files)), None)
    if backend == "ensemble":
        return backend, tuple(sorted(contents))  # an ensemble's version folder is empty
    named = settings.get("default_model_filename")
    files = (named,) if named else _FILES_OF_BACKEND.get(backend or "")
    usable = (v for v, present in contents.items() if (present.intersection(files) if files else present))
    return backend, tuple(sorted(usable))


def _read_settings(path: Path) -> dict[str, str]:
    """The strings at the top level of a `config.pbtxt`; nothing if there is none."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    return dict(top_level_strings(text))
