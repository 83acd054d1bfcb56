"""Which operator sets a graph is written in, and which nodes no operator set knows."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from onnx import version_converter

from converters.errors import Unsupported, first_line
from converters.graph.subgraphs import graphs_of

# The newest that every exporter writes of itself: tf2onnx ends at 18, PyTorch's exporters are written in 18 and convert
# to others afterwards, skl2onnx goes to 22. Readers are no limit: ONNX Runtime 1.31 reads up to 26, TensorRT-RTX's
# parser still more.
DEFAULT_OPSET = 18
# From 5 on, `ai.onnx.ml` has other operators for trees, which neither the exporters nor older runtimes know.
CLASSICAL_OPSET = 3
CLASSICAL = "ai.onnx.ml"
"""The domain of classical models' operators: trees, linear models, their scalers."""

# ONNX Runtime's own operators: it runs them, but `onnx` holds no description of them.
_RUNTIME_DOMAINS = frozenset({"com.microsoft", "com.microsoft.nchwc", "ai.onnx.contrib"})
_STANDARD = frozenset({"", "ai.onnx"})


def opset_of(model: onnx.ModelProto, domain: str = "") -> int:
    """The version of a domain's operators that the graph is written in; 0 if it imports none of them."""
    names = _STANDARD if domain in _STANDARD else {domain}
    return max((int(entry.version) for entry in model.opset_import if entry.domain in names), default=0)


def declare_opsets(model: onnx.ModelProto, versions: Mapping[str, int]) -> None:
    """Make these the graph's operator sets, each once; domains that are not named keep theirs.

    skl2onnx and onnxmltools name the oldest set that has their operators, or the same domain twice, or none at all,
    which shape inference and checks of other tools refuse.
    """
    kept = {("" if entry.domain in _STANDARD else entry.domain): entry.version for entry in model.opset_import}
    del model.opset_import[:]
    for domain, version in {**kept, **versions}.items():
        model.opset_import.append(onnx.helper.make_opsetid(domain, version))


def unknown_nodes(model: onnx.ModelProto) -> tuple[onnx.NodeProto, ...]:
    """Nodes whose operator neither ONNX, nor ONNX Runtime, nor a function of the model itself describes."""
    functions = {(function.domain, function.name) for function in model.functions}
    return tuple(
        node
        for graph in graphs_of(model.graph)
        for node in graph.node
        if node.domain not in _RUNTIME_DOMAINS
        and (node.domain, node.op_type) not in functions
        and not onnx.defs.has(node.op_type, "" if node.domain in _STANDARD else node.domain)
    )


def refuse_unknown_operators(model: onnx.ModelProto, *, step: str) -> None:
    """Find out at once what would otherwise fail in a later step.

    Raises:
        Unsupported: names every operator that is not known, and the first node of each.
    """
    first: dict[str, str] = {}
    for node in unknown_nodes(model):
        operator = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        first.setdefault(operator, f"{node.name or node.output[0]} ({operator})")
    if first:
        raise Unsupported(
            f"ONNX has no operator for {', '.join(sorted(first))}",
            hint="replace it in the model by operations that ONNX has, or serve the model by its own framework",
        ).at(step=step, node=", ".join(first.values()))


def with_opset(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """The model in another operator set.

    Raises:
        Unsupported: some operator has no counterpart there.
    """
    try:
        converted = version_converter.convert_version(model, opset)
    except (RuntimeError, ValueError, version_converter.ConvertError) as error:
        raise Unsupported(
            f"the graph of operator set {opset_of(model)} cannot be rewritten for {opset} ({first_line(error)})",
            hint=f"export the model with operator set {opset}",
        ) from error
    converted.ir_version = max(model.ir_version, onnx.helper.find_min_ir_version_for(list(converted.opset_import)))
    return converted
