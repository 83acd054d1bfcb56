"""What an engine takes and gives, and which of its optimization profiles fits a request."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backends.common.datatypes import Array
from backends.common.errors import LoadError, RequestError
from backends.common.signature import Signature, TensorSpec

_DATATYPES = {
    "FLOAT": "TYPE_FP32", "HALF": "TYPE_FP16", "BF16": "TYPE_BF16", "INT8": "TYPE_INT8", "UINT8": "TYPE_UINT8",
    "INT32": "TYPE_INT32", "INT64": "TYPE_INT64", "BOOL": "TYPE_BOOL",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Range:
    """The shapes of one input that a profile allows."""

    min: tuple[int, ...]
    opt: tuple[int, ...]
    max: tuple[int, ...]

    def holds(self, shape: Sequence[int]) -> bool:
        """Whether it allows this shape."""
        return len(shape) == len(self.min) and all(
            low <= size <= high for low, size, high in zip(self.min, shape, self.max, strict=True)
        )


Profile = Mapping[str, Range]
"""A range for each input."""


def signature_of(library: Any, engine: Any) -> Signature:
    """The engine's inputs and outputs.

    Raises:
        LoadError: one is of a kind that Triton cannot carry.
    """
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    specs = {name: _spec(library, engine, name) for name in names}
    is_input = {name: engine.get_tensor_mode(name) == library.TensorIOMode.INPUT for name in names}
    return Signature(
        tuple(specs[name] for name in names if is_input[name]),
        tuple(specs[name] for name in names if not is_input[name]),
    )


def profiles_of(engine: Any, inputs: Sequence[TensorSpec], wanted: Sequence[int] = ()) -> dict[int, Profile]:
    """The engine's optimization profiles by their numbers; all of them, or those that are wanted.

    Raises:
        LoadError: a wanted one is not there.
    """
    there = range(engine.num_optimization_profiles)
    missing = [number for number in wanted if number not in there]
    if missing:
        raise LoadError(
            f"instance_group: profile {missing[0]} is not in the engine, which has "
            f"{', '.join(map(str, there))}; name one of these, or take `profile` out"
        )
    return {
        number: {each.name: Range(*map(tuple, engine.get_tensor_profile_shape(each.name, number))) for each in inputs}
        for number in wanted or there
    }


def choose(profiles: Mapping[int, Profile], shapes: Mapping[str, Sequence[int]]) -> int:
    """The profile that allows these shapes; of several the one that is tuned for the nearest size.

    Raises:
        RequestError: none does; says which shapes are allowed.
    """
    fitting = [number for number, profile in profiles.items() if _holds(profile, shapes)]
    if not fitting:
        raise RequestError(_misfit(profiles, shapes), invalid=True)
    return min(fitting, key=lambda number: (_distance(profiles[number], shapes), number))


def check_dtype(spec: TensorSpec, array: Array, expected: Any) -> None:
    """Hold an array against its input.

    Raises:
        RequestError: it is of another type.
    """
    if array.dtype != expected:
        raise RequestError(f"input '{spec.name}' is {array.dtype}, and the engine takes {spec.datatype}", invalid=True)


def _spec(library: Any, engine: Any, name: str) -> TensorSpec:
    datatype = engine.get_tensor_dtype(name).name
    if datatype not in _DATATYPES:
        raise LoadError(
            f"'{name}' is {datatype}, which Triton cannot carry; build the engine with a float32 tensor there"
        )
    if engine.get_tensor_location(name) != library.TensorLocation.DEVICE:
        raise LoadError(
            f"'{name}' is a shape tensor, which this backend does not take; export the model with fixed sizes there, "
            "or serve it with Triton's native TensorRT backend"
        )
    if engine.get_tensor_format(name) != library.TensorFormat.LINEAR:
        raise LoadError(f"'{name}' is not laid out linearly; build the engine without other formats for its tensors")
    return TensorSpec(name, _DATATYPES[datatype], tuple(int(size) for size in engine.get_tensor_shape(name)))


def _holds(profile: Profile, shapes: Mapping[str, Sequence[int]]) -> bool:
    return all(profile[name].holds(shape) for name, shape in shapes.items())


def _distance(profile: Profile, shapes: Mapping[str, Sequence[int]]) -> float:
    """How far shapes are from those that a profile is tuned for, as the ratio of elements."""
    return sum(abs(math.log(_elements(shape) / _elements(profile[name].opt))) for name, shape in shapes.items())


def _elements(shape: Sequence[int]) -> int:
    return max(1, math.prod(shape))


def _misfit(profiles: Mapping[int, Profile], shapes: Mapping[str, Sequence[int]]) -> str:
    for name, shape in shapes.items():
        allowed = [profile[name] for profile in profiles.values()]
        if not any(each.holds(shape) for each in allowed):
            ranges = " or ".join(dict.fromkeys(f"{list(each.min)} to {list(each.max)}" for each in allowed))
            return f"input '{name}' has the shape {list(shape)}, but the engine was built for {ranges}"
    both = ", ".join(f"'{name}' {list(shape)}" for name, shape in shapes.items())
    return f"no optimization profile of the engine allows these shapes together: {both}"
