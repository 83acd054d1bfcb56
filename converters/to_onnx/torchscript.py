"""TorchScript to ONNX, by PyTorch's older exporter: the newer one takes no scripts. Loops and branches are kept."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx

from converters.arrays import Feeds
from converters.errors import BadData, BadSource, Unsupported
from converters.graph.dimensions import BATCH
from converters.graph.opset import DEFAULT_OPSET
from converters.lazy import Source, value_of
from converters.to_onnx.frameworks import deaf, one_line, quiet, torch
from converters.to_onnx.torch_names import chosen, dynamic_axes, flat, ordered, tensors

STEP = "TorchScript to ONNX"
_OPERATOR = re.compile(r"[Oo]perator '?(\w+::\w+)'?|(\w+::\w+)")


@dataclass(frozen=True, slots=True)
class OnnxFromTorchScript:
    """A file of `torch.jit.save` as ONNX.

    Attributes:
        path: the `.pt` or `.jit` file.
        sample: one batch of input by the names of forward's arguments: the exporter runs the model on it.
        dynamic: further dynamic axes by input and axis, with a name for each; axis 0 is the batch and always dynamic.
        outputs: names for its outputs, in order; empty leaves them as `torch_names` says.
        opset: None is the default.

    Raises:
        BadSource: the file cannot be opened.
        BadData: there is no sample, or the model does not take it.
        Unsupported: an operator has no counterpart in ONNX; names it.
        ToolMissing: PyTorch is not installed.
    """

    path: Source[Path]
    sample: Feeds | None
    dynamic: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    opset: int | None = None

    def __call__(self) -> onnx.ModelProto:
        """Open, run once and convert."""
        path = value_of(self.path)
        module = open_module(path)
        sample = ordered(self.sample, arguments(module), step=STEP)
        axes = dynamic_axes(sample, self.dynamic, batch=BATCH)
        feeds = tensors(sample)
        names = chosen(flat(run(module, feeds))[1], self.outputs)
        written = io.BytesIO()
        try:
            with quiet(), deaf(1):  # where it fails, it prints its whole graph
                torch().onnx.export(
                    module, tuple(feeds.values()), written, dynamo=False, opset_version=self.opset or DEFAULT_OPSET,
                    input_names=list(feeds), output_names=names, dynamic_axes=axes,
                )  # fmt: skip
        except Exception as error:
            raise _refused(error).at(model=path.name, step=STEP) from None
        return onnx.load_from_string(written.getvalue())


def open_module(path: Path) -> Any:
    """The TorchScript module in a file, in evaluation mode on the CPU.

    Raises:
        BadSource: it cannot be opened.
    """
    pytorch = torch()
    try:
        with quiet():
            return pytorch.jit.load(str(path), map_location="cpu").eval()
    except Exception as error:
        raise BadSource(
            f"'{path}' cannot be opened as TorchScript: {one_line(error)}",
            hint="it may be cut short, or a checkpoint of torch.save: save the model by torch.jit.save",
        ).at(model=path.name, step=STEP) from None


def arguments(module: Any) -> list[str]:
    """The names of forward's arguments."""
    return [argument.name for argument in module.forward.schema.arguments[1:]]


def run(module: Any, feeds: Mapping[str, Any]) -> Any:
    """What the module returns.

    Raises:
        BadData: it does not take the input.
    """
    try:
        with quiet(), torch().no_grad():
            return module(**feeds)
    except Exception as error:
        given = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in feeds.items())
        cause = one_line(Exception(str(error).rpartition("RuntimeError: ")[2] or str(error)))
        raise BadData(
            f"the model does not take the input ({given}): {cause}",
            hint="give data of the shapes and types that forward takes",
        ).at(step=STEP) from None


def _refused(error: Exception) -> Unsupported:
    found = _OPERATOR.search(str(error))
    if not found:
        return Unsupported(
            f"PyTorch cannot export the script: {one_line(error)}",
            hint="write that part otherwise, or export the model by torch.export.save and give the .pt2",
        )
    operator = found.group(1) or found.group(2)
    refused = Unsupported(
        f"ONNX has no operator for {operator}: {one_line(error)}",
        hint="return a tuple of tensors instead"
        if operator == "prim::DictConstruct"
        else "replace it in the model by operations that ONNX has, or serve the model by its own framework",
    )
    refused.at(node=operator)
    return refused
