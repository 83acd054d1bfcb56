"""Exported programs, as `torch.export.save` writes them.

A program's inputs carry the names of the exported function's arguments, its outputs the keys of a returned dictionary,
or `OUTPUT__0`, `OUTPUT__1`, ... in order.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backends.common.errors import LoadError, one_line
from backends.common.signature import Signature, TensorSpec
from backends.pytorch.naming import Argument
from backends.pytorch.settings import Torch
from backends.pytorch.values import datatype_of


def open_program(torch: Any, path: Path) -> Any:
    """The exported program.

    Raises:
        LoadError: the file cannot be opened.
    """
    # PyTorch first logs the whole traceback of what it then raises.
    logger = logging.getLogger("torch.export")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with path.open("rb") as file:  # by name, PyTorch takes only one that ends in .pt2
            return torch.export.load(file)
    except Exception as error:
        raise LoadError(
            f"'{path.name}' cannot be opened as an exported program; it may be cut short, or of another version of "
            f"PyTorch than {torch.__version__}: {one_line(error)}"
        ) from None
    finally:
        logger.setLevel(level)


def signature(program: Any) -> Signature:
    """The program's inputs and outputs; a dimension that was exported as dynamic is -1.

    Raises:
        LoadError: an input or output is not a tensor.
    """
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    inputs = tuple(_spec(name, values[name]) for name in _input_names(program))
    outputs = tuple(
        _spec(name, values[node]) for name, node in zip(_output_names(program), _output_nodes(program), strict=True)
    )
    return Signature(inputs, outputs)


def arguments(program: Any) -> list[Argument]:
    """The program's inputs, as arguments of `callable_of`."""
    return [Argument(name, "Tensor") for name in _input_names(program)]


def callable_of(torch: Torch, program: Any) -> Callable[..., Any]:
    """A function of the program's inputs by name."""
    if torch.device != "cpu":
        from torch.export.passes import move_to_device_pass  # noqa: PLC0415 - only where PyTorch is installed

        program = move_to_device_pass(program, torch.device)
    module = program.module()
    pytree = torch.module.utils._pytree
    specs = [spec.arg for spec in program.graph_signature.input_specs if spec.kind.name == "USER_INPUT"]
    names = _input_names(program)
    structure = program.call_spec.in_spec

    def call(**tensors: Any) -> Any:
        # What is no tensor was fixed when the program was exported.
        flat = [tensors[spec.name] if spec.name in names else spec.value for spec in specs]
        args, kwargs = pytree.tree_unflatten(flat, structure)
        result = module(*args, **kwargs)
        return result if isinstance(result, dict) else pytree.tree_leaves(result)

    return call


def _input_names(program: Any) -> list[str]:
    names = []
    for spec in program.graph_signature.input_specs:
        if spec.kind.name != "USER_INPUT":
            continue
        if hasattr(spec.arg, "value"):
            continue  # a constant that the export has fixed
        names.append(str(spec.arg.name))
    return names


def _output_nodes(program: Any) -> list[str]:
    specs = [spec.arg for spec in program.graph_signature.output_specs if spec.kind.name == "USER_OUTPUT"]
    for position, spec in enumerate(specs):
        if hasattr(spec, "value"):
            raise LoadError(f"result {position} of the program is not a tensor but the constant {spec.value!r}")
    return [str(spec.name) for spec in specs]


def _output_names(program: Any) -> list[str]:
    structure = program.call_spec.out_spec
    if structure.type is dict:
        return [str(key) for key in structure.context]
    return [f"OUTPUT__{position}" for position in range(len(_output_nodes(program)))]


def _spec(name: str, value: Any) -> TensorSpec:
    if not hasattr(value, "dtype"):
        raise LoadError(f"'{name}' of the program is a {type(value).__name__}; only tensors can be served")
    shape = tuple(size if isinstance(size, int) else -1 for size in value.shape)
    return TensorSpec(name, datatype_of(value.dtype), shape)
