"""Optimization profiles: which shapes an engine takes, from the model's signature and the configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from converters.engines.base import Profile, Range
from converters.errors import ConfigError, Unsupported
from converters.graph.signature import Signature, Tensor
from converters.nearest import nearest

Sizes = tuple[int, int, int]
"""min, opt and max of one dimension."""

_REAL_NAME = re.compile(r"[A-Za-z_][\w.:/-]*")


@dataclass(frozen=True, slots=True)
class Batch:
    """Batch sizes; `opt` is the one that the engine is tuned for."""

    min: int = 1
    opt: int = 8
    max: int = 32

    @property
    def sizes(self) -> Sizes:
        """The three together."""
        return (self.min, self.opt, self.max)


def is_placeholder(name: str) -> bool:
    """Whether a dimension's name names nothing, as "?": then two of that name need not be of one size."""
    return _REAL_NAME.fullmatch(name) is None or name in {"None", "unk", "unknown"}


def profiles(signature: Signature, batch: Batch, shapes: Mapping[str, Mapping[int, Sizes]]) -> tuple[Profile, ...]:
    """One profile for all of a model's dynamic dimensions; none if it has no such.

    Axis 0 takes the batch's sizes unless `shapes` says otherwise. A dimension without sizes takes those of another one
    with the same name, as a sequence's length that several inputs share.

    Args:
        signature: of the typed ONNX.
        batch: sizes of axis 0.
        shapes: sizes of other dynamic dimensions, by input and axis (the batch is axis 0).

    Raises:
        ConfigError: sizes are missing, do not ascend, or are for an input or a dimension that is not there.
        Unsupported: an input's number of dimensions is unknown.
    """
    inputs = {tensor.name: tensor for tensor in signature.inputs}
    for name, axes in shapes.items():
        _check_shapes(name, axes, inputs)
    named = _named(signature, shapes)
    ranges = {}
    for tensor in signature.inputs:
        sizes = [
            (size, size, size) if isinstance(size, int) else _sizes(tensor, axis, batch, shapes, named)
            for axis, size in enumerate(_ranked(tensor))
        ]
        if any(isinstance(size, str) for size in _ranked(tensor)):
            low, opt, high = zip(*sizes, strict=True)
            ranges[tensor.name] = Range(low, opt, high)
    if not ranges:
        return ()
    check_profile(signature, ranges)
    return (ranges,)


def check_profile(signature: Signature, profile: Profile) -> None:
    """Whether a builder can take this profile.

    Raises:
        Unsupported: an input is missing or unknown, or shapes do not fit the model, do not ascend or contradict.
    """
    inputs = {tensor.name: tensor for tensor in signature.inputs}
    for name in profile:
        if name not in inputs:
            raise Unsupported(
                f"the profile is for an input '{name}', which the model does not have", hint=_near(name, inputs)
            )
    known: dict[str, tuple[Sizes, str]] = {}
    for tensor in signature.inputs:
        dynamic = any(isinstance(size, str) for size in _ranked(tensor))
        shape = profile.get(tensor.name)
        if shape is None and dynamic:
            raise Unsupported(f"the profile says nothing about input {tensor}", hint="give its min, opt and max shape")
        if shape is not None:
            _check_range(tensor, shape, known)


def _check_range(tensor: Tensor, shape: Range, known: dict[str, tuple[Sizes, str]]) -> None:
    dimensions = _ranked(tensor)
    for which in (shape.min, shape.opt, shape.max):
        if len(which) != len(dimensions):
            what = f"the profile gives {len(which)} dimensions for input {tensor}, which has {len(dimensions)}"
            raise Unsupported(what, hint="give one size for each dimension, the batch included")
    for axis, size in enumerate(dimensions):
        sizes = (shape.min[axis], shape.opt[axis], shape.max[axis])
        where = f"dimension {axis} of input {tensor}"
        if isinstance(size, int) and sizes != (size, size, size):
            raise Unsupported(
                f"the profile gives {list(sizes)} for {where}, which is always {size}", hint=f"write {size}"
            )
        if not 0 <= sizes[0] <= sizes[1] <= sizes[2]:
            what = f"min, opt and max do not ascend in {where}: {list(sizes)}"
            raise Unsupported(what, hint="order them as min <= opt <= max")
        if isinstance(size, str) and not is_placeholder(size):
            before, first = known.setdefault(size, (sizes, where))
            if before != sizes:
                what = f"'{size}' is {list(before)} as {first} and {list(sizes)} as {where}"
                raise Unsupported(
                    what, hint="give both the same sizes, or name the dimensions differently in the model"
                )


def _sizes(
    tensor: Tensor, axis: int, batch: Batch, shapes: Mapping[str, Mapping[int, Sizes]], named: Mapping[str, Sizes]
) -> Sizes:
    given = shapes.get(tensor.name, {}).get(axis)
    if given is not None:
        return given
    name = str(_ranked(tensor)[axis])
    if name in named:
        return named[name]
    if axis == 0:
        return batch.sizes
    missing = [at for at, size in enumerate(_ranked(tensor)) if at > 0 and isinstance(size, str)]
    example = ", ".join(f"{at}: [1, 64, 128]" for at in missing)
    yaml = f"shapes: {{{tensor.name}: {{{example}}}}}"
    raise ConfigError(
        f"dimension {axis} of input {tensor} is dynamic, and nothing says which sizes it has",
        hint=f"give its min, opt and max: in engines.yaml '{yaml}', or '--shape {tensor.name}:{axis}=1,64,128'",
    )


def _named(signature: Signature, shapes: Mapping[str, Mapping[int, Sizes]]) -> dict[str, Sizes]:
    """The sizes that were given for dimensions with a name."""
    found: dict[str, Sizes] = {}
    for tensor in signature.inputs:
        for axis, sizes in shapes.get(tensor.name, {}).items():
            name = _ranked(tensor)[axis]
            if isinstance(name, str) and not is_placeholder(name):
                found.setdefault(name, sizes)
    return found


def _check_shapes(name: str, axes: Mapping[int, Sizes], inputs: Mapping[str, Tensor]) -> None:
    tensor = inputs.get(name)
    if tensor is None:
        raise ConfigError(f"'shapes' names an input '{name}', which the model does not have", hint=_near(name, inputs))
    dimensions = _ranked(tensor)
    for axis, sizes in axes.items():
        if not 0 <= axis < len(dimensions):
            what = f"'shapes' names axis {axis} of input {tensor}, which has {len(dimensions)} dimensions"
            raise ConfigError(what, hint=f"name an axis from 0 (the batch) to {len(dimensions) - 1}")
        size = dimensions[axis]
        if isinstance(size, int) and sizes != (size, size, size):
            what = f"'shapes' gives {list(sizes)} for axis {axis} of input {tensor}, which is always {size}"
            raise ConfigError(what, hint="leave it out, or export the model with that dimension dynamic")
        if not 1 <= sizes[0] <= sizes[1] <= sizes[2]:
            what = f"the sizes {list(sizes)} of axis {axis} of input {tensor} are no min, opt and max"
            raise ConfigError(what, hint="give three positive sizes that ascend")


def _ranked(tensor: Tensor) -> tuple[int | str, ...]:
    if tensor.shape is None:
        raise Unsupported(
            f"the model does not say how many dimensions input '{tensor.name}' has",
            hint="export it with a fixed number of dimensions; TensorRT takes dynamic sizes, but no dynamic rank",
        )
    return tensor.shape


def _near(name: str, inputs: Mapping[str, Tensor]) -> str:
    return nearest(name, inputs, f"it has {', '.join(repr(each) for each in inputs) or 'no inputs'}")
