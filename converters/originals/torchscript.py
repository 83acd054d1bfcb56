"""TorchScript files."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from converters.originals.base import ExportOptions
from converters.originals.file import FileOriginal
from converters.originals.torch_runner import TorchRunner
from converters.to_onnx.simplify import SimplifiedFromOnnx
from converters.to_onnx.torchscript import OnnxFromTorchScript, arguments, open_module


@dataclass(frozen=True, slots=True)
class TorchScriptOriginal(FileOriginal):
    """A file of `torch.jit.save`."""

    kind: str = "torchscript"

    def to_onnx(self, options: ExportOptions) -> onnx.ModelProto:
        """See `OnnxFromTorchScript`."""
        return SimplifiedFromOnnx(
            OnnxFromTorchScript(self.path, options.sample, options.dynamic, options.outputs, options.opset)
        )()

    def runner(self, options: ExportOptions) -> TorchRunner:
        """The script, in PyTorch."""
        module = open_module(self.path)
        names = arguments(module)
        fed = [name for name in names if options.sample is None or name in options.sample]
        return TorchRunner(module, fed, options.outputs)
