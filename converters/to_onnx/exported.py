"""PyTorch's exported programs (`.pt2`) to ONNX, by the exporter that is built on torch.export."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from converters.errors import BadSource, Unsupported
from converters.graph.opset import DEFAULT_OPSET
from converters.graph.outputs import rename_outputs
from converters.lazy import Source, value_of
from converters.to_onnx.frameworks import framework, one_line, quiet, torch
from converters.to_onnx.torch_names import chosen, names_of

_SAFE = "triton-convert/output_"
"""Names that no value inside of a model has: the exporter does not look whether an output's is taken."""

STEP = "exported program to ONNX"
_OPERATOR = re.compile(r"No ONNX function found for <OpOverload\(op='([^']+)'")
_NODE = re.compile(r"translating node %(\w+)")


@dataclass(frozen=True, slots=True)
class OnnxFromExported:
    """A file of `torch.export.save` as ONNX. Dimensions that were exported as dynamic stay dynamic.

    Attributes:
        path: the `.pt2` file.
        outputs: names for its outputs, in order; empty leaves them as `torch_names` says.
        opset: None is the default; PyTorch converts to others after the export.

    Raises:
        BadSource: the file cannot be opened.
        Unsupported: an operator has no counterpart in ONNX; names it and its node.
        ToolMissing: PyTorch or onnxscript is not installed.
    """

    path: Source[Path]
    outputs: tuple[str, ...] = ()
    opset: int | None = None

    def __call__(self) -> onnx.ModelProto:
        """Open and convert."""
        path = value_of(self.path)
        try:
            return onnx_of(open_program(path), self.outputs, self.opset)
        except Unsupported as error:
            raise error.at(model=path.name) from None


def open_program(path: Path) -> Any:
    """The exported program in a file.

    Raises:
        BadSource: it cannot be opened.
    """
    pytorch = torch()
    try:
        with quiet(), path.open("rb") as file:  # by name, PyTorch takes only one that ends in .pt2
            return pytorch.export.load(file)
    except Exception as error:
        raise BadSource(
            f"'{path}' cannot be opened as an exported program: {one_line(error)}",
            hint=f"it may be cut short, or of another PyTorch than {pytorch.__version__}: export it again",
        ).at(model=path.name, step=STEP) from None


def onnx_of(program: Any, outputs: Sequence[str], opset: int | None) -> onnx.ModelProto:
    """An exported program as ONNX.

    Raises:
        Unsupported: an operator has no counterpart in ONNX; names it and its node.
        ToolMissing: onnxscript is not installed.
    """
    framework("onnxscript", extra="convert", attribute="ir")
    names = chosen(output_names(program), outputs)
    safe = [f"{_SAFE}{position}" for position in range(len(names))]
    try:
        with quiet():
            exported = torch().onnx.export(
                program, (), dynamo=True, opset_version=opset or DEFAULT_OPSET, output_names=safe, verbose=False
            )
            model: onnx.ModelProto = exported.model_proto
    except Exception as error:
        raise _refused(error).at(step=STEP) from None
    name_by_module(model)
    rename_outputs(model, dict(zip(safe, names, strict=True)))
    return model


def name_by_module(model: onnx.ModelProto) -> None:
    """Name nodes after the module that they belong to, as `layers.3.attention/MatMul_17`, so that people find them."""
    for position, node in enumerate(model.graph.node):
        told = {entry.key: entry.value for entry in node.metadata_props}.get("pkg.torch.onnx.name_scopes", "")
        scopes = ast.literal_eval(told) if told.startswith("[") else []
        # The first is the model itself, without a name; the last is the operation.
        if len(scopes) > 2 and not scopes[0]:
            node.name = f"{scopes[-2]}/{node.op_type}_{position}"


def input_names(program: Any) -> list[str]:
    """The program's inputs, without constants that the export has fixed."""
    specs = [spec.arg for spec in program.graph_signature.input_specs if spec.kind.name == "USER_INPUT"]
    return [str(spec.name) for spec in specs if not hasattr(spec, "value")]


def output_names(program: Any) -> list[str]:
    """The program's outputs.

    Raises:
        Unsupported: one of them is no tensor.
    """
    specs = [spec.arg for spec in program.graph_signature.output_specs if spec.kind.name == "USER_OUTPUT"]
    for position, spec in enumerate(specs):
        if type(spec).__name__ != "TensorArgument":
            told = f"the constant {spec.value!r}" if hasattr(spec, "value") else "a number"
            raise Unsupported(
                f"result {position} of the program is {told} and no tensor",
                hint="export a model that returns tensors only",
            ).at(step=STEP)
    return names_of(program.call_spec.out_spec, len(specs))


def _refused(error: Exception) -> Unsupported:
    text = str(error)
    operators, nodes = sorted(set(_OPERATOR.findall(text))), _NODE.findall(text)
    if not operators:
        lines = [line for line in text.splitlines() if line.startswith("<class ")]
        cause = lines[0].partition(": ")[2] if lines else one_line(error)
        return Unsupported(f"PyTorch cannot export the program: {cause}", hint="write that part of the model otherwise")
    refused = Unsupported(
        f"ONNX has no operator for {', '.join(operators)}",
        hint="replace it in the model by operations that ONNX has, or serve the model by its own framework",
    )
    refused.at(node=f"{nodes[0]} ({operators[0]})" if nodes else "")
    return refused
