"""PyTorch models of either format: opened, checked and run; numpy in, numpy out."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from backends.common.config import ModelConfig
from backends.common.datatypes import STRING, Array
from backends.common.errors import LoadError, RequestError, one_line
from backends.common.files import model_path
from backends.common.placement import Placement
from backends.common.signature import Signature
from backends.pytorch import exported, torchscript
from backends.pytorch.archive import archive_kind
from backends.pytorch.naming import SCALARS, Argument, bind_inputs, bind_outputs, pick_outputs
from backends.pytorch.settings import Torch, import_torch, set_up
from backends.pytorch.values import array_of, check_scalar_datatype, scalar_of, strings_of, tensor_of

_DEFAULT_FILENAME = "model.pt"

# The last line of the traceback that TorchScript writes into its message.
_TORCHSCRIPT_CAUSE = re.compile(r"^(?:[\w.]+(?:Error|Exception)): (.*)", re.MULTILINE | re.DOTALL)


def inspect(folder: Path, raw: Mapping[str, Any]) -> Signature:
    """The signature of an exported program; TorchScript has none.

    Raises:
        LoadError: it is TorchScript; says which inputs must be configured.
    """
    path = _path(folder, str(raw.get("default_model_filename", "")))
    if archive_kind(path) == "exported":
        return exported.signature(exported.open_program(import_torch(), path))
    arguments = torchscript.arguments(torchscript.open_module(import_torch(), path, "cpu"))
    takes = ", ".join(f"{argument.name}: {argument.kind}" for argument in arguments)
    raise LoadError(
        "TorchScript does not tell datatypes and shapes, so config.pbtxt must give 'data_type' and 'dims' of each "
        f"input (forward takes {takes or 'none'}) and of each output"
    )


def load(folder: Path, config: ModelConfig, placement: Placement) -> TorchModel:
    """The model in `folder`, checked against its configuration and ready to run."""
    path = _path(folder, config.filename)
    kind = archive_kind(path)
    torch = set_up(config, placement)
    with torch.inference():
        if kind == "exported":
            program = exported.open_program(torch.module, path)
            signature = exported.signature(program)
            signature.check(config)
            forward = exported.callable_of(torch, program)
            return TorchModel(torch, config, forward, exported.arguments(program), signature.scalar_inputs)
        module = torchscript.open_module(torch.module, path, torch.device)
        return TorchModel(torch, config, module, torchscript.arguments(module))


class TorchModel:
    """A PyTorch model whose arguments are bound to the configured inputs."""

    def __init__(
        self,
        torch: Torch,
        config: ModelConfig,
        forward: Callable[..., Any],
        arguments: list[Argument],
        scalars: frozenset[str] = frozenset(),
    ) -> None:
        self.scalars = scalars
        self._torch = torch
        self._forward: Callable[..., Any] | None = forward
        self._arguments = bind_inputs([tensor.name for tensor in config.inputs], arguments)
        self._positions = bind_outputs([tensor.name for tensor in config.outputs])
        self._datatypes = {tensor.name: tensor.datatype for tensor in (*config.inputs, *config.outputs)}
        for tensor in config.inputs:
            _check_input(tensor.name, tensor.datatype, tensor.optional, self._arguments[tensor.name])
        for section in (config.inputs, config.outputs):
            for tensor in section:
                if tensor.datatype == STRING and len(config.full_shape(tensor)) != 1:
                    raise LoadError(
                        f"'{tensor.name}' is a list of strings to the model and needs exactly one dimension"
                    )

    @property
    def shared(self) -> frozenset[str]:
        """Inputs that are plain numbers to the model."""
        return frozenset(name for name, argument in self._arguments.items() if argument.kind in SCALARS)

    def run(self, inputs: Mapping[str, Array], outputs: Collection[str]) -> dict[str, Array]:
        """Run `forward` and convert only the named outputs; PyTorch computes all of them."""
        torch = self._torch.module
        keywords = self._keywords(inputs)
        if self._forward is None:
            raise RequestError("the model has been released")
        with self._torch.inference():
            try:
                result = self._forward(**keywords)
            except Exception as error:
                raise RequestError(_plain(error)) from None
            picked = pick_outputs(result, {name: self._positions[name] for name in outputs}, torch.is_tensor)
            return {name: array_of(torch, name, value, self._datatypes[name]) for name, value in picked.items()}

    def close(self) -> None:
        """Release the model."""
        self._forward = None

    def _keywords(self, inputs: Mapping[str, Array]) -> dict[str, Any]:
        keywords: dict[str, Any] = {}
        for name, array in inputs.items():
            argument = self._arguments[name]
            value = self._value(name, array, argument)
            if argument.kind == "Dict[str, Tensor]":
                keywords.setdefault(argument.name, {})[name] = value
            else:
                keywords[argument.name] = value
        return keywords

    def _value(self, name: str, array: Array, argument: Argument) -> Any:
        if argument.kind in SCALARS:
            return scalar_of(name, array, argument.kind)
        if argument.kind == "List[str]":
            return strings_of(name, array)
        return tensor_of(self._torch.module, array, self._datatypes[name], self._torch.device)


def _check_input(name: str, datatype: str, optional: bool, argument: Argument) -> None:
    if argument.kind in SCALARS:
        check_scalar_datatype(name, argument.kind, datatype)
    elif (argument.kind == "List[str]") != (datatype == STRING):
        raise LoadError(f"input '{name}': 'data_type' is {datatype}, but the model's argument is a {argument.kind}")
    if optional and argument.required and argument.kind != "Dict[str, Tensor]":
        raise LoadError(f"input '{name}': 'optional' is true in config.pbtxt, but the model has no default for it")


def _path(folder: Path, filename: str) -> Path:
    return model_path(folder, filename or _DEFAULT_FILENAME)


def _plain(error: Exception) -> str:
    """PyTorch's message without the traceback that TorchScript puts into it."""
    text = str(error)
    if "TorchScript" in text:
        causes = _TORCHSCRIPT_CAUSE.findall(text)
        text = causes[-1] if causes else text
    return f"PyTorch: {one_line(text) if text else type(error).__name__}"
