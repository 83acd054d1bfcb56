"""Run the requests of one dynamic batch: concatenated along the first dimension, run once, split again.

Requests whose tensors cannot be concatenated (other shapes, other datatypes, an optional input left out) run in groups
of their own. When a group fails, its requests run one by one, so that an error hurts only the request that caused it.
One request alone is neither concatenated nor copied.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from backends.common.datatypes import Array
from backends.common.errors import RequestError, one_line


@dataclass(frozen=True, slots=True)
class Request:
    """One request's tensors by name, and the names of the outputs it wants."""

    inputs: Mapping[str, Array]
    outputs: frozenset[str]


Outcome: TypeAlias = "Mapping[str, Array] | RequestError"
Run: TypeAlias = Callable[[Mapping[str, Array], Collection[str]], Mapping[str, Array]]
_Group: TypeAlias = "list[int]"


@dataclass(frozen=True, slots=True)
class Batcher:
    """Runs requests through `run(inputs, outputs)`, which gives the named outputs.

    `batched` says whether every tensor has a batch dimension in front; without one each request runs alone.
    `shared` names the inputs that hold one value for a whole batch (a plain number to the model): requests are
    batched only with those of the same value, and the value is passed on once.
    """

    run: Run
    batched: bool
    shared: frozenset[str] = frozenset()

    def run_all(self, requests: Sequence[Request]) -> list[Outcome]:
        """One outcome for each request, in order: its outputs, which may share memory with others', or its error."""
        outcomes: dict[int, Outcome] = {}
        for group in self._groups(requests):
            outcomes.update(zip(group, self._run_group([requests[index] for index in group]), strict=True))
        return [outcomes[index] for index in range(len(requests))]

    def _groups(self, requests: Sequence[Request]) -> list[_Group]:
        if not self.batched:
            return [[index] for index in range(len(requests))]
        groups: dict[object, _Group] = {}
        for index, request in enumerate(requests):
            groups.setdefault(self._key(request), []).append(index)
        return list(groups.values())

    def _key(self, request: Request) -> object:
        return frozenset(
            (name, array.tobytes() if name in self.shared else None, array.dtype.str, array.shape[1:])
            for name, array in request.inputs.items()
        )

    def _run_group(self, requests: Sequence[Request]) -> list[Outcome]:
        try:
            return self._run_together(requests)
        except Exception as error:  # a framework may raise anything; it must not reach Triton
            if len(requests) > 1:
                return [outcome for request in requests for outcome in self._run_group([request])]
            return [error if isinstance(error, RequestError) else RequestError(one_line(error))]

    def _run_together(self, requests: Sequence[Request]) -> list[Outcome]:
        wanted = frozenset().union(*(request.outputs for request in requests))
        if not self.batched:
            return [dict(self.run(requests[0].inputs, wanted))]
        sizes = [_batch_size(request) for request in requests]
        results = self.run(self._concatenate(requests), wanted)
        for name, array in results.items():
            if array.ndim == 0 or array.shape[0] != sum(sizes):
                raise RequestError(
                    f"output '{name}' has the shape {list(array.shape)} for a batch of {sum(sizes)}: its first "
                    "dimension is not the batch, so the model needs 'max_batch_size: 0'"
                )
        if len(requests) == 1:
            return [dict(results)]
        ends = np.cumsum(sizes).tolist()
        return [
            {name: results[name][end - size : end] for name in results.keys() & request.outputs}
            for request, size, end in zip(requests, sizes, ends, strict=True)
        ]

    def _concatenate(self, requests: Sequence[Request]) -> Mapping[str, Array]:
        first = requests[0].inputs
        if len(requests) == 1:
            return first
        return {
            name: array if name in self.shared else np.concatenate([request.inputs[name] for request in requests])
            for name, array in first.items()
        }


def _batch_size(request: Request) -> int:
    """The requests' common first dimension; Triton has checked that it is common, except where it cannot."""
    sizes = {name: array.shape[0] if array.ndim else None for name, array in request.inputs.items()}
    if len(set(sizes.values())) != 1 or None in sizes.values():
        found = ", ".join(f"'{name}' {size if size is not None else 'none'}" for name, size in sorted(sizes.items()))
        raise RequestError(
            f"all inputs must have the same batch size, but they have: {found or 'no inputs'}", invalid=True
        )
    return next(size for size in sizes.values() if size is not None)
