"""PyTorch modules to ONNX, by torch.export."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx

from converters.arrays import Array, Feeds
from converters.errors import BadData, Unsupported
from converters.graph.dimensions import BATCH, dimensions_of, rename_dimensions
from converters.to_onnx.exported import onnx_of
from converters.to_onnx.frameworks import one_line, quiet, torch
from converters.to_onnx.torch_names import dynamic_axes, ordered, tensors

STEP = "module to ONNX"


@dataclass(frozen=True, slots=True)
class OnnxFromModule:
    """An `nn.Module`'s forward as ONNX, in evaluation mode, on the CPU.

    Attributes:
        module: the module; it can be called, so it is no `Source`.
        sample: one batch of input by the names of forward's arguments; the values do not matter, shapes and types do.
        dynamic: further dynamic axes by input and axis, with a name for each; axis 0 is the batch and always dynamic.
        outputs: names for its outputs, in order; empty leaves them as `torch_names` says.
        opset: see `OnnxFromExported`.

    Raises:
        BadData: there is no sample, or the module does not take it.
        Unsupported: the module fixes the batch, branches on values, or has operators without a counterpart in ONNX.
        ToolMissing: PyTorch or onnxscript is not installed.
    """

    module: Any
    sample: Feeds | None
    dynamic: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    opset: int | None = None

    def __call__(self) -> onnx.ModelProto:
        """Trace and convert."""
        sample = ordered(self.sample, arguments(self.module, self.sample), step=STEP)
        axes = dynamic_axes(sample, self.dynamic, batch=BATCH)
        model = onnx_of(_program(self.module, _widened(sample, axes), axes), self.outputs, self.opset)
        rename_dimensions(model, _symbols(model, axes))
        return model


def arguments(module: Any, sample: Feeds | None) -> list[str]:
    """The names of forward's arguments; what `**kwargs` takes is as the sample has it."""
    parameters = inspect.signature(module.forward).parameters.values()
    names = [each.name for each in parameters if each.kind in {each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY}]
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        names.extend(name for name in sample or () if name not in names)
    return names


def _widened(sample: Mapping[str, Array], axes: Mapping[str, Mapping[int, str]]) -> dict[str, Array]:
    """The sample with at least two of everything: torch.export takes a size of 1 for a constant."""
    wide = {}
    for name, array in sample.items():
        wider = array
        for axis in axes[name]:
            wider = np.repeat(wider, 2, axis) if wider.shape[axis] == 1 else wider
        wide[name] = wider
    return wide


def _program(module: Any, sample: Mapping[str, Array], axes: Mapping[str, Mapping[int, str]]) -> Any:
    pytorch = torch()
    feeds = tensors(sample)
    try:
        with quiet(), pytorch.no_grad():
            module.eval()(**feeds)
    except Exception as error:
        given = ", ".join(f"{name} {array.dtype} {list(array.shape)}" for name, array in sample.items())
        raise BadData(
            f"the module does not take the sample ({given}): {one_line(error)}",
            hint="give data of the shapes and types that forward takes, for any batch size",
        ).at(step=STEP) from None
    dimensions = {name: pytorch.export.Dim(name) for names in axes.values() for name in names.values()}
    shapes = {name: {axis: dimensions[each] for axis, each in names.items()} for name, names in axes.items()}
    try:
        with quiet(), pytorch.no_grad():
            return pytorch.export.export(module, (), feeds, dynamic_shapes=shapes)
    except Exception as error:
        raise Unsupported(
            f"torch.export cannot follow the module for any batch size: {_cause(error)}",
            hint="take sizes from x.shape and avoid branches on values, or export it yourself by torch.export.save",
        ).at(step=STEP) from None


def _symbols(model: onnx.ModelProto, axes: Mapping[str, Mapping[int, str]]) -> dict[str, str]:
    """The names of dimensions, by what torch.export calls them: it keeps none but its own."""
    inputs = {value.name: dimensions_of(value) for value in model.graph.input}
    return {
        inputs[name][axis].dim_param: chosen
        for name, names in axes.items()
        if name in inputs
        for axis, chosen in names.items()
        if inputs[name][axis].dim_param
    }


def _cause(error: Exception) -> str:
    """The lines that say what is wrong, without the advice on PyTorch's own settings."""
    lines = [line.strip(" -") for line in str(error).splitlines()]
    told = [line for line in lines if line and "TORCH_LOGS" not in line and not line.startswith("The error above")]
    return one_line(Exception(" ".join(told) or one_line(error)))
