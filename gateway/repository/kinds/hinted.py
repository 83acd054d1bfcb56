"""What a person says about a model, held against what its file says."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace

from gateway.core.errors import ModelRefused
from gateway.repository.description import ANY, Hints, Tensor
from gateway.repository.shapes import fits, show


def corrected(side: str, known: Sequence[Tensor], said: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The model's tensors, with the sizes that it leaves open as they were said.

    Args:
        side: "input" or "output", for messages.
        known: what the model's file says; a tensor of unknown rank has the shape `UNKNOWN`.
        said: from the hints; the datatype or the shape may be empty.

    Raises:
        ModelRefused: the hints name a tensor that the model does not have, or contradict the file.
    """
    hints = {tensor.name: tensor for tensor in said}
    names = [tensor.name for tensor in known]
    for name in hints.keys() - set(names):
        nearest = difflib.get_close_matches(name, names, n=1)
        instead = f"did you mean '{nearest[0]}'?" if nearest else f"it has {', '.join(map(repr, names)) or 'none'}"
        raise ModelRefused(f"the model has no {side} '{name}' as model.yaml or --{side} says; {instead}")
    return tuple(_merged(side, tensor, hints[tensor.name]) if tensor.name in hints else tensor for tensor in known)


UNKNOWN = (-2,)
"""The shape of a tensor whose number of dimensions the model's file does not say."""


def _merged(side: str, known: Tensor, said: Tensor) -> Tensor:
    where = f"{side} '{known.name}'"
    if said.datatype and said.datatype != known.datatype:
        raise ModelRefused(f"{where} is {known.datatype} in the model, not {said.datatype} as was said; correct that")
    if known.shape == UNKNOWN:
        return replace(known, shape=said.shape or UNKNOWN)
    if said.shape and not fits(said.shape, known.shape):
        raise ModelRefused(
            f"{where} has the shape {show(known.shape)} in the model (-1 is any size), which {show(said.shape)} does "
            "not fit; correct what was said, or leave the shape out"
        )
    return replace(known, shape=said.shape or known.shape, labels=said.labels or known.labels)


def refuse_unknown_ranks(side: str, tensors: Sequence[Tensor]) -> None:
    """Refuse tensors that neither the file nor the hints give a shape.

    Raises:
        ModelRefused: the first of them.
    """
    for tensor in tensors:
        if tensor.shape == UNKNOWN:
            raise ModelRefused(
                f"the model does not say how many dimensions {side} '{tensor.name}' has; give its shape in model.yaml, "
                f"or with --{side} {tensor.name}:{tensor.datatype}:DIMS"
            )


def batching(hints: Hints, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> bool:
    """Whether the first dimension of every tensor is a batch, as far as shapes tell, or else as was said.

    Raises:
        ModelRefused: somebody said so of a model that cannot batch.
    """
    fixed = first_not_open(inputs, outputs)
    if hints.batches and fixed is not None:
        raise ModelRefused(
            f"'{fixed.name}' has the shape {show(fixed.shape)}, whose first dimension is no batch of any size, as was "
            "said; export the model with a dynamic batch axis, or say batches: false"
        )
    return fixed is None if hints.batches is None else hints.batches


def first_not_open(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Tensor | None:
    """The first tensor whose first dimension is not of any size, which keeps a model from batching."""
    return next((tensor for tensor in (*inputs, *outputs) if tensor.shape[:1] != (ANY,)), None)
