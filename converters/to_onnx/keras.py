"""Keras to ONNX, through a SavedModel: tf2onnx's own way from Keras fails with Keras 3."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from converters.errors import BadSource, Unsupported
from converters.lazy import Source, value_of
from converters.to_onnx.frameworks import framework, one_line, quiet, tensorflow
from converters.to_onnx.saved_model import OnnxFromSavedModel

STEP = "Keras to ONNX"


@dataclass(frozen=True, slots=True)
class OnnxFromKeras:
    """A Keras model's call as ONNX. Inputs and outputs have the names that `model.export` gives them.

    Attributes:
        path: a `.keras` or `.h5` file.
        opset: see `OnnxFromSavedModel`.

    Raises:
        BadSource: there is no such file, or Keras cannot read it.
        Unsupported: the model cannot be exported, or holds operations without a counterpart in ONNX.
        ToolMissing: TensorFlow or tf2onnx is not installed.
    """

    path: Source[Path]
    opset: int | None = None

    def __call__(self) -> onnx.ModelProto:
        """Load, export and convert."""
        path = value_of(self.path)
        with tempfile.TemporaryDirectory(prefix="keras-") as folder:
            return OnnxFromSavedModel(exported(path, Path(folder)), opset=self.opset)()


def exported(path: Path, folder: Path) -> Path:
    """The Keras file's model as a SavedModel within the folder.

    Raises:
        BadSource: there is no such file, or Keras cannot read it.
        Unsupported: the model cannot be exported.
    """
    model = load(path)
    saved = folder / path.stem
    try:
        with quiet():
            model.export(str(saved), format="tf_saved_model", verbose=False)
    except Exception as error:
        raise Unsupported(
            f"Keras cannot export the model: {one_line(error)}",
            hint="build the model, by calling it once, before you save it",
        ).at(model=path.name, step=STEP) from None
    return saved


def load(path: Path) -> Any:
    """The Keras model in a file; what it holds of Python code is refused by Keras.

    Raises:
        BadSource: there is no such file, or Keras cannot read it.
    """
    tensorflow()
    keras = framework("keras", extra="tensorflow", attribute="saving")
    if not path.is_file():
        raise BadSource(f"there is no file '{path}'", hint="check the path").at(model=path.name, step=STEP)
    try:
        with quiet():
            return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise BadSource(
            f"Keras cannot load '{path.name}': {one_line(error)}",
            hint="copy the file again; a model with layers of your own is better saved by model.export(folder)",
        ).at(model=path.name, step=STEP) from None
