"""ONNX files: the original of a model that comes as ONNX is that file, run by ONNX Runtime as it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx

from converters.graph.files import digest_of_path, load
from converters.graph.opset import opset_of, with_opset
from converters.graph.shapes import weights_of
from converters.originals.base import ExportOptions
from converters.originals.file import FileOriginal
from converters.to_onnx.simplify import SimplifiedFromOnnx
from converters.verify.base import Runner


@dataclass(frozen=True, slots=True)
class OnnxOriginal(FileOriginal):
    """An ONNX file, with the files of its external data if it has any."""

    kind: str = "onnx"

    @property
    def digest(self) -> str:
        """Over the file and its external data."""
        return digest_of_path(self.path, *_external_files(self.path))

    def to_onnx(self, options: ExportOptions) -> onnx.ModelProto:
        """The file's model, simplified; its names stay, and its opset if no other is asked for."""
        model = SimplifiedFromOnnx(load(self.path))()
        return with_opset(model, options.opset) if options.opset not in (None, opset_of(model)) else model

    def runner(self, options: ExportOptions) -> Runner:  # noqa: ARG002 - names are the file's own
        """The file, in ONNX Runtime."""
        from converters.verify.onnx_runner import OnnxRunner  # noqa: PLC0415 - imports ONNX Runtime

        return OnnxRunner(self.path)


def _external_files(path: Path) -> list[Path]:
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception:  # whatever is wrong with it, `load` says it better
        load(path)
        raise
    names = {e.value for tensor in weights_of(model) for e in tensor.external_data if e.key == "location"}
    return [path.parent / name for name in sorted(names)]
