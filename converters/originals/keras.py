"""Keras models in a `.keras` or `.h5` file."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx

from converters.arrays import Array, Feeds
from converters.originals.base import ExportOptions
from converters.originals.file import FileOriginal
from converters.originals.saved_model import SavedModelRunner
from converters.to_onnx.frameworks import framework
from converters.to_onnx.keras import OnnxFromKeras, exported
from converters.to_onnx.saved_model import open_session
from converters.to_onnx.simplify import SimplifiedFromOnnx


@dataclass(frozen=True, slots=True)
class KerasOriginal(FileOriginal):
    """A Keras file."""

    kind: str = "keras"

    def to_onnx(self, options: ExportOptions) -> onnx.ModelProto:
        """See `OnnxFromKeras`."""
        return SimplifiedFromOnnx(OnnxFromKeras(self.path, options.opset))()

    def runner(self, options: ExportOptions) -> KerasRunner:
        """The model's exported call in TensorFlow: names and numbers are those of `model.export`."""
        return KerasRunner(self.path, options)


class KerasRunner:
    """A Keras model that runs in TensorFlow."""

    def __init__(self, path: Path, options: ExportOptions) -> None:
        with tempfile.TemporaryDirectory(prefix="keras-") as folder:
            session, signature = open_session(exported(path, Path(folder)), options.signature)
        self._runner = SavedModelRunner(session, signature)

    @property
    def name(self) -> str:
        """Keras and its version, and what it runs on."""
        return f"keras {framework('keras', extra='tensorflow', attribute='saving').__version__} ({self._runner.name})"

    def run(self, feeds: Feeds) -> Mapping[str, Array]:
        """All outputs by name.

        Raises:
            BadData: an input is missing, or of another shape or type.
        """
        return self._runner.run(feeds)

    def close(self) -> None:
        """Close the session."""
        self._runner.close()
