"""Dimensions that are chosen at run time: told apart by readable names, or fixed.

Exporters name them `?`, `unk__123`, `s77` or -1. TensorRT takes dimensions of one name to be of one size, so a `?` for
both height and width makes it refuse the model: "contradictory IOptimizationProfile constraints".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import onnx

from converters.errors import ConfigError
from converters.graph.shapes import inferred
from converters.graph.signature import signature_of
from converters.graph.subgraphs import graphs_of
from converters.lazy import Source, value_of

BATCH = "batch"

# Names that say nothing, and that one exporter writes for several dimensions.
_SHARED = re.compile(r"^(|\?|-1|None|none|unknown|unk|dynamic|dyn|Dynamic|DynamicDimension)$")
# Names that say nothing, but stand for one size each. The last are expressions over such names, as PyTorch writes them.
_OWN = re.compile(
    r"^(unk__\d+|[su]\d+|dim_?\d+|.*DynamicDimension\.\d+|onnx::.*|.*_dynamic_axes_\d+|.*_dim_\d+|.*[^\w.:/-].*)$"
)


def with_named_dimensions(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with a readable name for every dynamic dimension of its inputs and outputs, and all shapes inferred.

    The first dimension becomes `batch`, another one `<tensor>_<axis>`. Names that say something stay, and dimensions
    that are known to be of one size keep one name. Shapes inside the graph that use the old names are found anew.
    """
    named = onnx.ModelProto()
    named.CopyFrom(model)
    weights = {initializer.name for initializer in named.graph.initializer}
    inputs = [value for value in named.graph.input if value.name not in weights]
    _forget_inner_names(named)
    batched = any(is_dynamic(dimension) for value in inputs for dimension in dimensions_of(value)[:1])
    names: dict[str, str] = {}
    for value in inputs:
        _name(value, names, batched=True)
    for value in named.graph.output:
        _carry_over(value, names)
    named = inferred(named)
    names = {}
    for value in named.graph.output:
        _name(value, names, batched=batched)
    return named


def rename_dimensions(model: onnx.ModelProto, names: Mapping[str, str]) -> None:
    """Give dynamic dimensions other names, by the ones that they have, wherever they stand."""
    for graph in graphs_of(model.graph):
        for value in (*graph.input, *graph.output, *graph.value_info):
            for dimension in dimensions_of(value):
                if dimension.dim_param in names:
                    dimension.dim_param = names[dimension.dim_param]


@dataclass(frozen=True, slots=True)
class FixedFromOnnx:
    """The model with some dimensions fixed to a size.

    Attributes:
        model: where they are dynamic; it is left as it is.
        sizes: by input, then by axis: the size it is to have from now on, such as `{"x": {1: 3, 2: 48}}`. Dimensions of
            the same name, of other inputs too, become the same size.

    Raises:
        ConfigError: there is no such input or axis, or it has another size already.
    """

    model: Source[onnx.ModelProto]
    sizes: Mapping[str, Mapping[int, int]]

    def __call__(self) -> onnx.ModelProto:
        """Fix them, and infer the shapes of all that depends on them."""
        fixed = onnx.ModelProto()
        fixed.CopyFrom(value_of(self.model))
        values = {value.name: value for value in fixed.graph.input}
        named: dict[str, int] = {}
        for name, axes in self.sizes.items():
            if name not in values:
                known = ", ".join(f"'{tensor.name}'" for tensor in signature_of(fixed).inputs)
                raise ConfigError(f"the model has no input '{name}' whose shape could be fixed", hint=f"it has {known}")
            for axis, size in axes.items():
                _fix(values[name], axis, size, named)
        for dimension in _all_dimensions(fixed):
            if dimension.dim_param in named:
                dimension.dim_value = named[dimension.dim_param]
        # Sizes that were worked out from the dynamic ones are stale: only the outputs' ranks are kept.
        del fixed.graph.value_info[:]
        for value in fixed.graph.output:
            for dimension in dimensions_of(value):
                if is_dynamic(dimension) and dimension.dim_param not in _input_names(fixed):
                    dimension.Clear()
        return with_named_dimensions(fixed)


def _fix(value: onnx.ValueInfoProto, axis: int, size: int, named: dict[str, int]) -> None:
    dimensions = dimensions_of(value)
    if not 0 <= axis < len(dimensions) or size < 1:
        raise ConfigError(
            f"axis {axis} of input '{value.name}' cannot be fixed to {size}",
            hint=f"it has axes 0 to {len(dimensions) - 1}, and sizes begin at 1",
        )
    dimension = dimensions[axis]
    if not is_dynamic(dimension):
        if dimension.dim_value != size:
            raise ConfigError(
                f"axis {axis} of input '{value.name}' is {dimension.dim_value} and cannot be {size}",
                hint="leave it out, or give the size that it has",
            )
        return
    name = dimension.dim_param
    if named.get(name, size) != size:
        raise ConfigError(
            f"dimension '{name}' cannot be both {named[name]} and {size}",
            hint="give one size wherever it stands",
        )
    if name and not _SHARED.match(name):
        named[name] = size
    dimension.dim_value = size


def _name(value: onnx.ValueInfoProto, names: dict[str, str], *, batched: bool) -> None:
    for axis, dimension in enumerate(dimensions_of(value)):
        old = dimension.dim_param
        if not is_dynamic(dimension) or not _says_nothing(old):
            continue
        new = BATCH if axis == 0 and batched else f"{value.name}_{axis}"
        dimension.dim_param = new if _SHARED.match(old) else names.setdefault(old, new)


def _carry_over(value: onnx.ValueInfoProto, names: Mapping[str, str]) -> None:
    for dimension in dimensions_of(value):
        old = dimension.dim_param
        if old in names:
            dimension.dim_param = names[old]
        elif is_dynamic(dimension) and _says_nothing(old):
            dimension.Clear()  # for shape inference to fill in


def _says_nothing(name: str) -> bool:
    return bool(_SHARED.match(name) or _OWN.match(name))


def is_dynamic(dimension: onnx.TensorShapeProto.Dimension) -> bool:
    """Whether its size is chosen at run time."""
    return bool(dimension.dim_value <= 0)  # old exporters write -1 as a size where they mean "any"


def _forget_inner_names(model: onnx.ModelProto) -> None:
    for graph in graphs_of(model.graph):
        for value in graph.value_info:
            for dimension in dimensions_of(value):
                if dimension.dim_param and _says_nothing(dimension.dim_param):
                    dimension.Clear()


def _all_dimensions(model: onnx.ModelProto) -> Iterator[onnx.TensorShapeProto.Dimension]:
    for value in (*model.graph.input, *model.graph.output):
        yield from dimensions_of(value)


def _input_names(model: onnx.ModelProto) -> set[str]:
    return {dimension.dim_param for value in model.graph.input for dimension in dimensions_of(value)}


def dimensions_of(value: onnx.ValueInfoProto) -> Sequence[onnx.TensorShapeProto.Dimension]:
    """The dimensions of a tensor; none where the graph does not even say how many there are."""
    dimensions: Sequence[onnx.TensorShapeProto.Dimension] = value.type.tensor_type.shape.dim
    return dimensions
