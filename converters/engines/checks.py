"""What can be said against a model before a builder sees it, in clearer words than a builder finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx

from converters.engines.base import BuildOptions
from converters.engines.profiles import check_profile
from converters.errors import BadSource, Place, Unsupported
from converters.graph.names import label
from converters.graph.signature import Signature

_TYPES = onnx.TensorProto
_NEEDS = {
    _TYPES.BFLOAT16: ("BF16", 80),
    _TYPES.FLOAT8E4M3FN: ("FP8", 89),
}
"""ONNX element types that not all GPUs have: their name, and the least compute capability."""


@dataclass(frozen=True, slots=True)
class _Use:
    node: onnx.NodeProto
    type: int

    def __str__(self) -> str:
        return label(self.node)


def check_model(
    model: onnx.ModelProto, signature: Signature, options: BuildOptions, compute_capabilities: tuple[int, ...]
) -> None:
    """Find what is certain to fail, or worse, to be built wrongly.

    Args:
        model: typed ONNX.
        signature: of it.
        options: as the builder is given them.
        compute_capabilities: all targets.

    Raises:
        Unsupported: no rank, strings, types that a target does not have, UINT8 quantisation, profiles that do not fit.
        BadSource: weights lie in files that were not read.
    """
    for tensor in signature.inputs:
        if tensor.datatype in {"BYTES", ""}:
            kind = "strings" if tensor.datatype == "BYTES" else "a type that engines do not have"
            raise Unsupported(
                f"input '{tensor.name}' takes {kind}", hint="leave that part of the model out of the export"
            )
    for profile in options.profiles or ({},):
        check_profile(signature, profile)
    external = [each.name for each in model.graph.initializer if each.data_location == _TYPES.EXTERNAL]
    if external:
        what = f"the weights '{external[0]}' lie in a file of their own that was not read"
        raise BadSource(what, hint="keep that file beside the ONNX file, under the name that it was exported with")
    _check_types(model.graph, compute_capabilities)
    _check_quantisation(model.graph)


def _check_types(graph: onnx.GraphProto, compute_capabilities: tuple[int, ...]) -> None:
    if not compute_capabilities:
        return
    lacking = {code: need for code, need in _NEEDS.items() if min(compute_capabilities) < need[1]}
    for use in _uses(graph):
        if use.type in lacking:
            name, least = lacking[use.type]
            targets = ", ".join(f"sm_{each}" for each in compute_capabilities if each < least)
            raise Unsupported(
                f"{targets} has no {name}, and the model computes with it",
                hint=f"build this variant for sm_{least} and later only, and FP16 or INT8 for {targets}",
                place=Place(node=str(use)),
            )


def _uses(graph: onnx.GraphProto) -> Iterator[_Use]:
    """Every node with every element type that it is known to take or give."""
    types = {each.name: each.data_type for each in graph.initializer}
    values = (*graph.input, *graph.output, *graph.value_info)
    types.update({each.name: each.type.tensor_type.elem_type for each in values})
    for node in graph.node:
        for name in (*node.input, *node.output):
            yield _Use(node, types.get(name, 0))
        for attribute in node.attribute:
            if attribute.name in {"to", "output_dtype", "dtype"}:
                yield _Use(node, attribute.i)
            elif attribute.HasField("t"):
                yield _Use(node, attribute.t.data_type)
            elif attribute.HasField("g"):
                yield from _uses(attribute.g)


def _check_quantisation(graph: onnx.GraphProto) -> None:
    """Builders read UINT8 as INT8 with no more than a warning: what such an engine computes is wrong."""
    constants = {each.name: each for each in graph.initializer}
    for node in graph.node:
        quantises = node.op_type in {"QuantizeLinear", "DequantizeLinear"} and len(node.input) > 2
        zero_point = constants.get(node.input[2]) if quantises else None
        if zero_point is None:
            continue
        wrong = "to UINT8" if zero_point.data_type == _TYPES.UINT8 else ""
        if zero_point.data_type == _TYPES.INT8 and onnx.numpy_helper.to_array(zero_point).any():
            wrong = "asymmetrically"
        if wrong:
            raise Unsupported(
                f"the model is quantised {wrong}, which engines do not take",
                hint="quantise it to INT8 with all zero points 0 (what 'precision: int8' does)",
                place=Place(node=label(node)),
            )
