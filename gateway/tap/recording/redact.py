"""Takes out of a request what must not be in a recording: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

import numpy as np

from gateway.tap.datatypes import Tensor
from gateway.tap.recording.segment import Recorded
from gateway.tap.sections import RedactSection

_NOT_THE_CLIENT_S = frozenset({"binary_data_output"})  # says how the answer travels, and a replay decides that itself


def redacted(request: Recorded, section: RedactSection) -> Recorded:
    """The request as it may be kept.

    Values become zeros or empty texts of the same shape, so that it can still be sent; what was changed stands in the
    request's `redacted`.
    """
    told = list[str]()
    parameters = {name: value for name, value in request.request.parameters.items() if name not in _NOT_THE_CLIENT_S}
    kept = {name: value for name, value in parameters.items() if not _matches(name, section.parameters)}
    inputs = _emptied(request.request.tensors, section.inputs, "in", told)
    outputs = None if request.outputs is None else _emptied(request.outputs, section.outputs, "out", told)
    if len(kept) < len(parameters):
        told.append("parameters")
    return replace(
        request,
        request=replace(request.request, tensors=inputs, parameters=kept),
        outputs=outputs,
        redacted=tuple(told),
        request_id="" if section.request_id else request.request_id,
        tenant="" if section.tenant else request.tenant,
    )


def _emptied(tensors: Sequence[Tensor], patterns: Sequence[str], place: str, told: list[str]) -> tuple[Tensor, ...]:
    result = []
    for tensor in tensors:
        if _matches(tensor.name, patterns):
            told.append(f"{place}/{tensor.name}")
            empty = np.zeros(tensor.shape, tensor.data.dtype)
            if tensor.datatype == "BYTES":
                empty.fill(b"")
            result.append(replace(tensor, data=empty))
        else:
            result.append(tensor)
    return tuple(result)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
