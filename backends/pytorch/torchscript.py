"""TorchScript modules, as `torch.jit.save` writes them."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

from backends.common.errors import LoadError, one_line
from backends.pytorch.naming import Argument, Kind

_KINDS: dict[str, Kind] = {
    "Tensor": "Tensor",
    "List[str]": "List[str]",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "Dict[str, Tensor]": "Dict[str, Tensor]",
}
_OPTIONAL = re.compile(r"^Optional\[(.*)\]$")


def open_module(torch: Any, path: Path, device: str) -> Any:
    """The module in evaluation mode on the device.

    Raises:
        LoadError: the file cannot be opened.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript as a whole: it stays a served format
            module = torch.jit.load(str(path), map_location=device)
    except Exception as error:
        raise LoadError(f"'{path.name}' cannot be opened as TorchScript: {one_line(error)}") from None
    return module.eval()


def arguments(module: Any) -> list[Argument]:
    """The arguments of the module's `forward`, without `self`.

    Raises:
        LoadError: one is of a type that no tensor can feed.
    """
    try:
        schema = module.forward.schema
    except AttributeError:
        raise LoadError("the TorchScript module has no forward method") from None
    found = []
    for argument in schema.arguments[1:]:
        annotation = argument.type.annotation_str
        optional = _OPTIONAL.match(annotation)
        kind = _KINDS.get(optional.group(1) if optional else annotation)
        if kind is None and argument.has_default_value():
            continue  # the model does without it
        if kind is None or (kind == "Dict[str, Tensor]" and len(schema.arguments) > 2):
            raise LoadError(
                f"argument '{argument.name}' of forward is {annotation}; it must be a Tensor, List[str], int, float or "
                "bool, or Dict[str, Tensor] as the only argument"
            )
        found.append(Argument(argument.name, kind, required=not argument.has_default_value()))
    return found
