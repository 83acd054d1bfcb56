"""Complete model folders of Triton, as they come from another repository: numbered versions, maybe a config.pbtxt."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.core.errors import ModelRefused
from gateway.repository.archive import check_links
from gateway.repository.description import Description, Hints, Tensor
from gateway.repository.kinds import configured
from gateway.repository.kinds.base import Kind, Target
from gateway.repository.kinds.specs import folder_size

if TYPE_CHECKING:
    from gateway.repository.kinds.base import Array

_VERSION = re.compile(r"[1-9][0-9]*")
_NOT_COPIED = frozenset({".triton-gateway.json", ".retired", ".settings", ".git", "model.yaml", "sample.npz"})
_ENSEMBLE = "ensemble"
_BACKENDS = {
    "onnxruntime_onnx": "onnxruntime",
    "pytorch_libtorch": "pytorch",
    "tensorflow_graphdef": "tensorflow",
    "tensorflow_savedmodel": "tensorflow",
    "tensorrt_plan": "tensorrt",
    _ENSEMBLE: _ENSEMBLE,
}
"""The backend, by the older name `platform`."""
_FRAMEWORKS = {"onnxruntime": "onnx", "pytorch": "pytorch", "tensorflow": "tensorflow", "fil": "trees"}
_FILES = {
    "onnxruntime": ("model.onnx",),
    "pytorch": ("model.pt", "model.pt2"),
    "tensorflow": ("model.savedmodel", "model.graphdef"),
    "tensorrt": ("model.plan",),
    "openvino": ("model.xml",),
    "fil": ("xgboost.json", "xgboost.ubj", "model.txt", "checkpoint.tl"),
    "python": ("model.py",),
}
"""What the backends look for where the configuration names no file, the usual one first."""


class TritonKind:
    """A Triton model folder; what its configuration leaves open is asked of the kind of the model inside."""

    name = "triton"
    title = "Triton model folder"

    def recognise(self, source: Path) -> bool:
        """A folder with a numbered folder that is not empty, or an ensemble's, which may be."""
        try:
            return _highest(source) is not None
        except OSError:
            return False

    def companions(self, source: Path) -> tuple[Path, ...]:  # noqa: ARG002 - of the protocol; everything is in the folder
        """None."""
        return ()

    def prepare(self, source: Path, target: Target, hints: Hints) -> Description:
        """The highest version as it is, and everything beside the versions.

        Raises:
            ModelRefused: the configuration is wrong, or leaves open what the model does not tell either.
        """
        check_links(source)
        version = _highest(source)
        if version is None:
            raise ModelRefused(f"the folder '{source.name}' has no version such as 1/ with a model file in it")
        config = configured.read_config(source)
        _copy(source, version, target)
        if config:
            _check(config, target.model)
        return _describe(config, target, hints)

    def reference(self, version: Path, description: Description, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """What the kind of the model inside gives."""
        model = version / description.filename
        inner = _kind_of(model) if description.filename else None
        if inner is None:
            return {}
        with tempfile.TemporaryDirectory() as scratch:
            target = Target(Path(scratch), Path(scratch) / "1")
            target.version.mkdir()
            told = inner.prepare(model, target, Hints(inputs=description.inputs, outputs=description.outputs))
        return inner.reference(version, replace(description, kind=inner.name, origin=told.origin), inputs)


def _highest(source: Path) -> Path | None:
    """The highest version folder with something in it."""
    versions = [entry for entry in source.iterdir() if _VERSION.fullmatch(entry.name) and entry.is_dir()]
    is_ensemble = bool(versions) and "ensemble_scheduling" in _text(source / configured.FILENAME)
    filled = (entry for entry in versions if is_ensemble or any(entry.iterdir()))
    return max(filled, key=lambda entry: int(entry.name), default=None)


def _text(path: Path) -> str:
    return path.read_text("utf-8", "replace") if path.is_file() else ""


def _copy(source: Path, version: Path, target: Target) -> None:
    shutil.copytree(version, target.version, dirs_exist_ok=True)
    for entry in source.iterdir():
        if entry.name in _NOT_COPIED or (_VERSION.fullmatch(entry.name) and entry.is_dir()):
            continue
        if entry.is_dir():
            shutil.copytree(entry, target.model / entry.name)
        else:
            shutil.copyfile(entry, target.model / entry.name)


def _check(config: Any, folder: Path) -> None:
    """Refuse what cannot hold for a model whose versions are numbered here."""
    if config.version_policy.HasField("specific"):
        versions = ", ".join(map(str, config.version_policy.specific.versions))
        raise ModelRefused(
            f"{configured.FILENAME} serves only the versions {versions}, but the gateway numbers versions itself; take "
            "version_policy out, and the newest is served"
        )
    configured.refuse_missing_labels(folder, config.output)


def _describe(config: Any, target: Target, hints: Hints) -> Description:
    backend = _backend(config, target.version)
    filename = _filename(config, backend, target.version)
    described = _by_config(config, backend, filename)
    inner = _kind_of(target.version / filename) if filename else None
    if described is None:
        if inner is None:
            raise ModelRefused(_what_is_missing(config, backend))
        described = _by_model(inner, target.version / filename, config, backend, hints)
    return replace(
        described,
        framework=_FRAMEWORKS.get(backend),
        filename=filename,
        size_bytes=folder_size(target.version),
        parameters={**described.parameters, **_parameters(config)},
        origin={**described.origin, "format": "Triton model folder", **({"model": inner.title} if inner else {})},
    )


def _parameters(config: Any) -> dict[str, str]:
    return {key: value.string_value for key, value in config.parameters.items()} if config else {}


def _backend(config: Any, version: Path) -> str:
    """The backend's name, by the configuration or else by the files.

    Raises:
        ModelRefused: neither says.
    """
    if config and (config.backend or config.platform):
        return str(config.backend or _BACKENDS.get(config.platform, config.platform))
    if config and config.HasField("ensemble_scheduling"):
        return _ENSEMBLE
    found = next((backend for backend, files in _FILES.items() if any((version / name).exists() for name in files)), "")
    if not found:
        there = ", ".join(sorted(entry.name for entry in version.iterdir())[:5])
        raise ModelRefused(
            f"the version folder holds {there}, and nothing says which backend serves that; give the file the name "
            f"that its backend looks for ({', '.join(files[0] for files in _FILES.values())}), or put a config.pbtxt "
            "with `backend` and `default_model_filename` beside the versions"
        )
    return found


def _filename(config: Any, backend: str, version: Path) -> str:
    """The model file in the version folder; empty for what has none that is known here.

    Raises:
        ModelRefused: the file that the backend will look for is not there.
    """
    named = str(config.default_model_filename) if config else ""
    wanted = (named,) if named else _FILES.get(backend, ())
    found = next((name for name in wanted if (version / name).exists()), "")
    if wanted and not found:
        there = ", ".join(sorted(entry.name for entry in version.iterdir())[:5])
        raise ModelRefused(
            f"the backend '{backend}' looks for {' or '.join(wanted)} in the version folder, which holds "
            f"{there or 'nothing'}; rename the file, or set default_model_filename in {configured.FILENAME}"
        )
    return found


def _by_config(config: Any, backend: str, filename: str) -> Description | None:
    """What the configuration says, if it gives every input and output."""
    signature = configured.signature(config) if config else None
    return signature and Description(TritonKind.name, backend, None, *signature, config.max_batch_size > 0, filename)


def _by_model(inner: Kind, model: Path, config: Any, backend: str, hints: Hints) -> Description:
    """What the model itself says, and the configuration where it says something too."""
    with tempfile.TemporaryDirectory() as scratch:
        target = Target(Path(scratch), Path(scratch) / "1")
        target.version.mkdir()
        told = inner.prepare(model.parent if inner.recognise(model.parent) else model, target, hints)
    if config is None:
        return replace(told, kind=TritonKind.name, backend=backend)
    batches = config.max_batch_size > 0 or (told.batches and not config.input and not config.output)
    sides = (
        _merged(told_side, configured.tensors(config_side, batches=batches))
        for told_side, config_side in ((told.inputs, config.input), (told.outputs, config.output))
    )
    inputs, outputs = sides
    return replace(told, kind=TritonKind.name, backend=backend, inputs=inputs, outputs=outputs, batches=batches)


def _merged(told: tuple[Tensor, ...], written: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    by_name = {tensor.name: tensor for tensor in written}
    return tuple(by_name.get(tensor.name, tensor) for tensor in told)


def _kind_of(model: Path) -> Kind | None:
    """The kind of the model file in a version folder."""
    from gateway.repository.recognise import KINDS  # noqa: PLC0415 - the list holds this kind too

    others = [kind for kind in KINDS if kind.name != TritonKind.name]
    return next((kind for kind in others for place in (model, model.parent) if kind.recognise(place)), None)


def _what_is_missing(config: Any, backend: str) -> str:
    missing = [side for side in ("input", "output") if config is None or not getattr(config, side)]
    which = f"no {' and no '.join(missing)}" if missing else "an input or output without name, data_type or dims"
    return (
        f"the backend '{backend}' can't be asked here about the model, and {configured.FILENAME} gives {which}; write "
        "max_batch_size, input and output there"
    )
