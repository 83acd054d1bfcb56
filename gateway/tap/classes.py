"""Classifications as Triton writes them, taken apart: pure.

A client may ask for an output's top classes instead of its numbers. Each element of the answer is then a text,
`score:index` or `score:index:label`, and two that differ in the score's last digit are not equal as texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from gateway.tap.datatypes import Tensor

CLASS = ":class"  # behind the name of an output whose classes these are

_CLASS = re.compile(rb"([-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|inf|nan)):(\d+(?::.*)?)", re.DOTALL)


def taken_apart(tensors: tuple[Tensor, ...], classification: Mapping[str, int]) -> tuple[Tensor, ...]:
    """Outputs in which a classification has become two: its scores under its own name, and `<name>:class`.

    Args:
        tensors: the outputs of an answer; those that are no classification stay as they are.
        classification: of how many classes the request asked, by output.
    """
    if not classification:
        return tensors
    return tuple(part for each in tensors for part in (_parts(each) if each.name in classification else (each,)))


def _parts(tensor: Tensor) -> tuple[Tensor, ...]:
    if tensor.datatype != "BYTES":
        return (tensor,)
    found = [_CLASS.fullmatch(element) for element in tensor.data.flat]
    scores = [float(match[1]) for match in found if match]
    if len(scores) < len(found):
        return (tensor,)
    classes = np.empty(len(found), object)
    classes[:] = [match[2] for match in found if match]
    return (
        Tensor(tensor.name, "FP32", tensor.shape, np.array(scores, np.float32).reshape(tensor.shape)),
        replace(tensor, name=f"{tensor.name}{CLASS}", data=classes.reshape(tensor.shape)),
    )
