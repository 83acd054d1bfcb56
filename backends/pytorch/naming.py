"""Which tensor of `config.pbtxt` is which argument and which result of `forward`, by the native backend's rules.

Inputs: if every name is an argument's, by name; else if every name ends in `__INDEX`, by index; else in the order of
the configuration. A single argument `Dict[str, Tensor]` takes all inputs by their names. Outputs: `__INDEX`, else in
order; a dictionary's by key, which the native backend does not have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from backends.common.errors import LoadError, RequestError

Kind = Literal["Tensor", "List[str]", "int", "float", "bool", "Dict[str, Tensor]"]

SCALARS: Mapping[str, type] = {"int": int, "float": float, "bool": bool}


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of `forward`; `required` when it has no default."""

    name: str
    kind: Kind
    required: bool = True


def bind_inputs(names: Sequence[str], arguments: Sequence[Argument]) -> dict[str, Argument]:
    """The argument of each configured input.

    Raises:
        LoadError: an input fits no argument, two fit the same, or an argument is left without an input.
    """
    if len(arguments) == 1 and arguments[0].kind == "Dict[str, Tensor]":
        return dict.fromkeys(names, arguments[0])
    by_name = {argument.name: argument for argument in arguments}
    indices = indices_of(names)
    if all(name in by_name for name in names):
        bound = {name: by_name[name] for name in names}
    else:
        positions = indices if indices is not None else range(len(names))
        bound = {name: _at(name, position, arguments) for name, position in zip(names, positions, strict=True)}
    taken: dict[str, str] = {}
    for name, argument in bound.items():
        if argument.name in taken:
            raise LoadError(f"inputs '{taken[argument.name]}' and '{name}' both name argument '{argument.name}'")
        taken[argument.name] = name
    missing = [argument.name for argument in arguments if argument.required and argument.name not in taken]
    if missing:
        raise LoadError(f"config.pbtxt has no input for {_listed(missing)} of forward({_names(arguments)})")
    return bound


def bind_outputs(names: Sequence[str]) -> dict[str, int]:
    """The position of each configured output among the model's results."""
    indices = indices_of(names)
    return dict(zip(names, indices if indices is not None else range(len(names)), strict=True))


def indices_of(names: Sequence[str]) -> list[int] | None:
    """The indices of names that all follow `NAME__INDEX`; `None` when one does not."""
    tails = [name.rpartition("__") for name in names]
    if not all(separator and index.isascii() and index.isdigit() for _, separator, index in tails):
        return None
    return [int(index) for _, _, index in tails]


def pick_outputs(result: Any, positions: Mapping[str, int], is_tensor: Any) -> dict[str, Any]:
    """The wanted outputs of what `forward` returned: a tensor, strings, a tuple or list of those, or a dictionary.

    `positions` are the wanted outputs' positions; `is_tensor` tells a tensor.

    Raises:
        RequestError: the model did not return such an output.
    """
    if isinstance(result, Mapping):
        named = {str(key): value for key, value in result.items()}
        lacking = [name for name in positions if name not in named]
        if lacking:
            raise RequestError(f"the model returned {_listed(list(named))}, but no output {_listed(lacking)}")
        return {name: named[name] for name in positions}
    if is_tensor(result) or _is_strings(result):
        results: Sequence[Any] = [result]
    elif isinstance(result, (tuple, list)):
        results = result
    else:
        raise RequestError(f"the model returned {type(result).__name__}; it must return tensors")
    for name, position in positions.items():
        if position >= len(results):
            raise RequestError(f"output '{name}' is result {position}, but the model returned {len(results)}")
    return {name: results[position] for name, position in positions.items()}


def _is_strings(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


def _at(name: str, position: int, arguments: Sequence[Argument]) -> Argument:
    if position >= len(arguments):
        raise LoadError(
            f"input '{name}' stands for argument {position}, but forward({_names(arguments)}) takes {len(arguments)}; "
            "name the inputs like the arguments, or NAME__INDEX"
        )
    return arguments[position]


def _names(arguments: Sequence[Argument]) -> str:
    return ", ".join(argument.name for argument in arguments)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "nothing"
