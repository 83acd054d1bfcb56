"""Which nodes of a graph can compute in a low type, by ONNX's own operator schemas, and which had better not.

A schema gives the operands of an operator type variables: all of one variable have one type, and the variable has a
list of types that it may take. A variable that may be the low type, and is FP32 now, becomes the low type, with all
operands that share it; so a Resize gets its data in FP16 and its scales in FP32, without a list of operators and
their whims.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

import onnx
from onnx import numpy_helper

from converters.graph.subgraphs import subgraphs
from converters.precision.low import TOO_SMALL, LowFloat

FLOAT = int(onnx.TensorProto.FLOAT)

# fmt: off
MOVERS = frozenset({
    "DepthToSpace", "Expand", "Flatten", "Identity", "Reshape", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile",
    "Transpose", "Unsqueeze",
})
"""Operators that only move numbers: they take the type that their input happens to have, which saves casts."""

_FOLLOWERS = MOVERS | {"Cast"}
# Their type is an attribute, and what they make up is small beside what is computed from it.
_GENERATORS = frozenset({
    "Bernoulli", "BlackmanWindow", "EyeLike", "HammingWindow", "HannWindow", "MelWeightMatrix", "Multinomial",
    "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
})
# fmt: on
# What comes out has the numbers of the first input; the others say how large it becomes.
_SIZED = frozenset({"Expand", "Reshape", "Resize", "Tile"})
# What an epsilon that is too small for the low type keeps from infinity: it must reach these in FP32.
_SINGULAR = frozenset({"Div", "Log", "Pow", "Reciprocal", "Sqrt"})
_SCALING = frozenset({"DequantizeLinear", "QuantizeLinear"})
_THROUGH = MOVERS | {"Max", "Sqrt"}


@dataclass(frozen=True, slots=True)
class Choice:
    """What becomes of one node.

    Attributes:
        inputs, outputs: positions of the operands that get the low type; none if the node stays as it is.
        reason: why a node that handles FP32 stays as it is; empty if it does not, or has nothing to lose.
    """

    inputs: frozenset[int] = frozenset()
    outputs: frozenset[int] = frozenset()
    reason: str = ""

    @property
    def low(self) -> bool:
        """Whether the node computes in the low type."""
        return bool(self.inputs or self.outputs)


def choices(
    model: onnx.ModelProto, types: Mapping[str, int], low: LowFloat, *, keep: Set[str], low_inputs: bool
) -> list[Choice]:
    """What becomes of each node, in the graph's order.

    Args:
        model: `prepared`.
        types: of its values.
        low: the type to lower to.
        keep: names of nodes that stay in FP32.
        low_inputs: whether the model's own inputs get the low type too.
    """
    graph = model.graph
    versions = {entry.domain: int(entry.version) for entry in model.opset_import}
    weights = {tensor.name: tensor for tensor in graph.initializer}
    sizes = _made_of_sizes(graph, weights)
    guarded: set[str] = set()
    lowered = {value.name for value in graph.input if low_inputs} | {
        name for name, tensor in weights.items() if tensor.data_type == FLOAT
    }
    result = []
    for node in graph.node:
        choice = _by_schema(node, versions, types, low)
        complaint = _complaint(node, choice, weights, low)
        if TOO_SMALL in complaint or (node.op_type in _THROUGH and not guarded.isdisjoint(node.input)):
            guarded.update(node.output)
        if complaint:
            choice = Choice(reason=complaint)
        if node.op_type in _SINGULAR and not guarded.isdisjoint(node.input):
            choice = Choice(reason=f"an epsilon that {TOO_SMALL} {low.name.upper()} keeps it from infinity")
        if not sizes.isdisjoint(node.output):
            choice = Choice(reason="it computes with sizes of tensors, which must be exact")
        if node.op_type in _FOLLOWERS and types.get(node.input[0]) == FLOAT and node.input[0] not in lowered:
            choice = Choice()
        if node.name in keep:
            choice = Choice(reason="it was asked for")
        lowered.update(node.output[position] for position in choice.outputs)
        result.append(choice if _handles_float(node, types) else Choice())
    return result


def _by_schema(node: onnx.NodeProto, versions: Mapping[str, int], types: Mapping[str, int], low: LowFloat) -> Choice:
    if obstacle := _obstacle(node, types, low):
        return Choice(reason=obstacle)
    domain = "" if node.domain == "ai.onnx" else node.domain
    try:
        schema = onnx.defs.get_schema(node.op_type, versions.get(domain, 1), domain)
    except onnx.defs.SchemaError:
        return Choice(reason="ONNX does not define this operator, so its types are not known")
    lowerable = {
        constraint.type_param_str for constraint in schema.type_constraints if low.kind in constraint.allowed_type_strs
    }
    variables = (
        *((name, position, "in", variable) for position, name, variable in _operands(node.input, schema.inputs)),
        *((name, position, "out", variable) for position, name, variable in _operands(node.output, schema.outputs)),
    )
    lowerable &= {variable for name, _, _, variable in variables if types.get(name) == FLOAT}
    lowerable -= {variable for name, _, _, variable in variables if types.get(name) != FLOAT}
    if not lowerable:
        return Choice(reason=f"it does not take {low.name.upper()} in operator set {versions.get(domain, 1)}")
    return Choice(
        inputs=frozenset(position for _, position, way, variable in variables if way == "in" and variable in lowerable),
        outputs=frozenset(
            position for _, position, way, variable in variables if way == "out" and variable in lowerable
        ),
    )


def _obstacle(node: onnx.NodeProto, types: Mapping[str, int], low: LowFloat) -> str:
    """What the schema does not say and yet keeps a node as it is."""
    if next(subgraphs(node), None) is not None:
        return "it holds a graph of its own"
    if any(name and name not in types for name in (*node.input, *node.output)):
        return "the types of its operands are not known, or no plain tensors"
    if node.op_type in _GENERATORS:
        return "it makes numbers up"
    return f"TensorRT does not take it in {low.name.upper()}" if node.op_type in low.refused else ""


def _operands(
    names: Sequence[str], formal: Sequence[onnx.defs.OpSchema.FormalParameter]
) -> Iterator[tuple[int, str, str]]:
    """Position, name and type variable of each operand that is given; the last formal one may stand for many."""
    for position, name in enumerate(names):
        if name and formal:
            yield position, name, formal[min(position, len(formal) - 1)].type_str


def _complaint(node: onnx.NodeProto, choice: Choice, weights: Mapping[str, onnx.TensorProto], low: LowFloat) -> str:
    for position in sorted(choice.inputs):
        name = node.input[position]
        if name not in weights:
            continue
        constant = numpy_helper.to_array(weights[name])
        if complaint := low.complaint(constant):
            return f"its constant '{name}' {complaint}"
        if node.op_type in _SCALING and position == 1 and not low.rounded(constant).all():
            return f"one of its scales, '{name}', would be zero in {low.name.upper()}"
    return ""


def _handles_float(node: onnx.NodeProto, types: Mapping[str, int]) -> bool:
    return any(types.get(name) == FLOAT for name in (*node.input, *node.output))


def _made_of_sizes(graph: onnx.GraphProto, weights: Set[str] | Mapping[str, onnx.TensorProto]) -> set[str]:
    """Names of all values that are computed from sizes of tensors, and from constants, alone."""
    found: set[str] = set()
    for node in graph.node:
        parents = [name for name in node.input if name and name not in weights]
        if node.op_type in _SIZED:
            parents = parents[:1] if node.input[0] not in weights else []
        made = bool(parents) and all(name in found for name in parents) and node.op_type != "ConstantOfShape"
        if made or node.op_type in {"Shape", "Size"}:
            found.update(node.output)
    return found
