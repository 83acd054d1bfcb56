"""ONNX models: a `.onnx` file, or a folder with one and the files that its tensors lie in."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.core.errors import MalformedMessage, ModelRefused
from gateway.repository.archive import check_links
from gateway.repository.description import Description, Hints
from gateway.repository.kinds.base import Target
from gateway.repository.kinds.onnx_files import data_files, external_tensors, may_lie_beside
from gateway.repository.kinds.onnx_session import open_session, run
from gateway.repository.kinds.onnx_signature import describe

if TYPE_CHECKING:
    from gateway.repository.kinds.base import Array

_FILENAME = "model.onnx"
_VERSION = re.compile(r"[1-9][0-9]*")


class OnnxKind:
    """ONNX, served by ONNX Runtime."""

    name = "onnx"
    title = "ONNX"

    def recognise(self, source: Path) -> bool:
        """By the ending; a folder has one `.onnx` file, and is no Triton model nor a Python model that uses it."""
        try:
            return source.suffix.lower() == ".onnx" if source.is_file() else _model_in(source) is not None
        except OSError:
            return False

    def companions(self, source: Path) -> tuple[Path, ...]:
        """The files beside the model that its tensors lie in."""
        try:
            locations = dict.fromkeys(location for _, location in external_tensors(source))
            places = (source.parent / location for location in locations if may_lie_beside(location))
            return tuple(place for place in places if place.is_file())
        except (OSError, MalformedMessage, ValueError):  # such as a name with a null byte
            return ()

    def prepare(self, source: Path, target: Target, hints: Hints) -> Description:
        """The model as `model.onnx`, with its data under the names that it knows.

        Raises:
            ModelRefused: it is no ONNX model, is not all there, or takes or gives what Triton cannot carry.
        """
        alone = source.is_file()
        if not alone:
            check_links(source)
        model = source if alone else _model_in(source)
        if model is None:
            raise ModelRefused(
                f"the folder '{source.name}' must hold exactly one .onnx file; drop each model by itself"
            )
        for location in data_files(model, alone=alone):
            _copy(model.parent / location, target.version / location)
        _copy(model, target.version / _FILENAME)
        try:
            return describe(target.version / _FILENAME, hints)
        except UnicodeDecodeError:
            raise ModelRefused(f"{model.name}: its names are no text, so the file is damaged; copy it again") from None

    def reference(self, version: Path, description: Description, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """What ONNX Runtime gives with its default options, on one thread; nothing for BF16, which numpy lacks."""
        if any(tensor.datatype == "BF16" for tensor in (*description.inputs, *description.outputs)):
            return {}
        session = open_session(version / description.filename, optimised=True)
        return run(session, inputs, [tensor.name for tensor in description.outputs])


def _model_in(folder: Path) -> Path | None:
    """The only `.onnx` file of a folder; None if the folder is not about that file."""
    names = {entry.name for entry in folder.iterdir()}
    models = [name for name in names if name.lower().endswith(".onnx")]
    if len(models) != 1 or any(_VERSION.fullmatch(name) and (folder / name).is_dir() for name in names):
        return None
    uses_it = "model.py" in names and b"TritonPythonModel" in (folder / "model.py").read_bytes()
    return None if uses_it else folder / models[0]


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
