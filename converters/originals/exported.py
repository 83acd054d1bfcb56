"""PyTorch's exported programs in a `.pt2` file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import onnx

from converters.originals.base import ExportOptions
from converters.originals.file import FileOriginal
from converters.originals.torch_runner import TorchRunner
from converters.to_onnx.exported import OnnxFromExported, input_names, open_program
from converters.to_onnx.frameworks import torch
from converters.to_onnx.simplify import SimplifiedFromOnnx


@dataclass(frozen=True, slots=True)
class ExportedOriginal(FileOriginal):
    """A file of `torch.export.save`."""

    kind: str = "exported"

    def to_onnx(self, options: ExportOptions) -> onnx.ModelProto:
        """See `OnnxFromExported`."""
        return SimplifiedFromOnnx(OnnxFromExported(self.path, options.outputs, options.opset))()

    def runner(self, options: ExportOptions) -> TorchRunner:
        """The program, in PyTorch."""
        program = open_program(self.path)
        return TorchRunner(_callable(program), input_names(program), options.outputs)


def _callable(program: Any) -> Callable[..., Any]:
    """A function of the program's inputs by their names in its graph, however it was called when it was exported."""
    module = program.module()
    unflatten = torch().utils._pytree.tree_unflatten
    specs = [spec.arg for spec in program.graph_signature.input_specs if spec.kind.name == "USER_INPUT"]

    def call(**tensors: Any) -> Any:
        flat = [spec.value if hasattr(spec, "value") else tensors[str(spec.name)] for spec in specs]
        args, kwargs = unflatten(flat, program.call_spec.in_spec)
        return module(*args, **kwargs)

    return call
