"""What the inputs and outputs of PyTorch models are called.

Inputs carry the names of the function's arguments. Outputs carry the keys of a returned dictionary; a single tensor is
`output`, those of a tuple or list are `output_0`, `output_1`, ...
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from converters.arrays import Array, Feeds
from converters.errors import BadData, ConfigError, Unsupported
from converters.to_onnx.frameworks import quiet, torch


def flat(result: Any) -> tuple[list[Any], list[str]]:
    """What a model returned as a list of tensors, and the name of each.

    Raises:
        Unsupported: something in it is no tensor.
    """
    with quiet():
        leaves, structure = torch().utils._pytree.tree_flatten(result)
    for position, leaf in enumerate(leaves):
        if not isinstance(leaf, torch().Tensor):
            raise Unsupported(
                f"result {position} of the model is a {type(leaf).__name__}, and ONNX has only tensors",
                hint="return a tensor, a tuple of tensors, or a dictionary of tensors",
            )
    return leaves, names_of(structure, len(leaves))


def names_of(structure: Any, count: int) -> list[str]:
    """The outputs' names, from the structure (`TreeSpec`) of what is returned and the number of tensors in it."""
    if structure.type is dict and len(structure.context) == count:
        return [str(key) for key in structure.context]
    return ["output"] if count == 1 else [f"output_{position}" for position in range(count)]


def chosen(names: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """The outputs' names, or those that the user wants instead.

    Raises:
        ConfigError: there are not as many.
    """
    if wanted and len(wanted) != len(names):
        raise ConfigError(
            f"{len(wanted)} output names are given, and the model has {len(names)} outputs",
            hint="name all of them, in order, or none",
        )
    return list(wanted or names)


def ordered(sample: Feeds | None, arguments: Sequence[str], *, step: str) -> dict[str, Array]:
    """The sample's arrays in the order of the model's arguments, those of them that it has.

    Raises:
        BadData: there is no sample, or it has an input that the model does not have.
    """
    known = ", ".join(f"'{name}'" for name in arguments)
    if not sample:
        raise BadData(
            f"the exporter runs the model once, and there is no sample of its inputs ({known})",
            hint="give data for the model: one batch is enough",
        ).at(step=step)
    unknown = sorted(set(sample) - set(arguments))
    if unknown:
        raise BadData(
            f"the sample has '{unknown[0]}', which is no argument of the model",
            hint=f"name the inputs like the arguments: {known}",
        ).at(step=step)
    return {name: np.asarray(sample[name]) for name in arguments if name in sample}


def dynamic_axes(
    sample: Mapping[str, Array], dynamic: Mapping[str, Mapping[int, str]], *, batch: str
) -> dict[str, dict[int, str]]:
    """The names of each input's dynamic axes: the batch, and those that the user names.

    Raises:
        ConfigError: the user names an input or an axis that is not there.
    """
    for name, axes in dynamic.items():
        rank = sample[name].ndim if name in sample else 0
        wrong = [axis for axis in axes if not 0 <= axis < rank]
        if name not in sample or wrong:
            known = ", ".join(f"'{each}' with {array.ndim} axes" for each, array in sample.items())
            raise ConfigError(f"dynamic axes of '{name}': there is no such input or axis", hint=f"there is {known}")
    return {name: ({0: batch} if array.ndim else {}) | dict(dynamic.get(name, {})) for name, array in sample.items()}


def tensors(sample: Mapping[str, Array]) -> dict[str, Any]:
    """The arrays as tensors that own their memory."""
    return {name: torch().from_numpy(np.array(array)) for name, array in sample.items()}
