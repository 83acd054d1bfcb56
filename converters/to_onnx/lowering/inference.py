"""Types and operator sets of graphs that hold classical operators.

onnx's own code for these reads the types of inputs that it failed to infer, and crashes the process: an Imputer before
a LabelEncoder is enough. So it gets to see the classical nodes under another domain, of which it knows nothing, and
the types of their outputs as given.
"""

from __future__ import annotations

import onnx
import onnx.version_converter

from converters.errors import Unsupported
from converters.graph.opset import CLASSICAL
from converters.graph.types import element_types
from converters.to_onnx.lowering.emitter import STEP

HIDDEN = "hidden"
SAME_TYPE = frozenset({"ArrayFeatureExtractor", "Imputer"})
OPERATOR_SET = 18


def upgraded(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in an operator set that has all that is written out; newer ones stay.

    Raises:
        Unsupported: one of its plain operators cannot be brought to that set.
    """
    version = max((entry.version for entry in model.opset_import if not entry.domain), default=0)
    result = onnx.ModelProto()
    result.CopyFrom(model)
    if version < OPERATOR_SET and any(not node.domain for node in model.graph.node):
        try:
            converted = onnx.version_converter.convert_version(_hidden(model), OPERATOR_SET)
        except RuntimeError as error:
            raise Unsupported(
                f"its operator set {version} cannot be brought to {OPERATOR_SET}",
                hint=f"convert the model from its original with operator set {OPERATOR_SET} or later",
            ).at(step=STEP) from error
        result.graph.CopyFrom(converted.graph)
        _show(result, model)
    # The converter leaves the old version beside the new one.
    others = ((entry.domain, entry.version) for entry in model.opset_import if entry.domain)
    set_versions(result, ("", max(version, OPERATOR_SET)), *others)
    result.ir_version = max(result.ir_version, 8)
    return result


def set_versions(model: onnx.ModelProto, *versions: tuple[str, int]) -> None:
    """Says which operator sets a model needs, and no others."""
    imports = [onnx.helper.make_opsetid(domain, version) for domain, version in versions]
    model.ClearField("opset_import")
    model.opset_import.extend(imports)


def inferred_types(model: onnx.ModelProto) -> dict[str, int]:
    """ONNX element types of all tensors, as far as they can be found out."""
    known = _hidden(model)
    while True:
        inferred = onnx.shape_inference.infer_shapes(known)
        types = element_types(inferred)
        followed = [
            (node.output[0], types[node.input[0]])
            for node in inferred.graph.node
            if node.domain == HIDDEN and node.op_type in SAME_TYPE
            if node.output[0] not in types and node.input[0] in types
        ]
        if not followed:
            return types
        known.graph.value_info.extend(onnx.helper.make_tensor_value_info(*entry, None) for entry in followed)


def _hidden(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose classical nodes are without attributes and in a domain that onnx does not know."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    outputs = {value.name for value in model.graph.output}
    for node in result.graph.node:
        if node.domain == CLASSICAL:
            for name, kind in _output_types(node).items():
                if name not in outputs:
                    result.graph.value_info.append(onnx.helper.make_tensor_value_info(name, kind, None))
            node.domain = HIDDEN
            node.ClearField("attribute")
    others = ((entry.domain, entry.version) for entry in model.opset_import if entry.domain != CLASSICAL)
    set_versions(result, *others, (HIDDEN, 1))
    return result


def _show(result: onnx.ModelProto, model: onnx.ModelProto) -> None:
    """Puts the classical nodes of `model` back where they were hidden."""
    nodes = {node.output[0]: node for node in model.graph.node if node.domain == CLASSICAL}
    for node in result.graph.node:
        if node.domain == HIDDEN:
            node.CopyFrom(nodes[node.output[0]])


def _output_types(node: onnx.NodeProto) -> dict[str, int]:
    """Types of a classical node's outputs, where the node itself tells."""
    attributes = {attribute.name for attribute in node.attribute}
    if node.op_type in {"ZipMap", *SAME_TYPE}:
        return {}
    first = onnx.TensorProto.FLOAT
    if node.op_type == "LabelEncoder":
        if "values_tensor" in attributes:
            values = next(attribute.t for attribute in node.attribute if attribute.name == "values_tensor")
            return {node.output[0]: int(values.data_type)}
        kinds = {"values_int64s": onnx.TensorProto.INT64, "values_floats": onnx.TensorProto.FLOAT}
        first = next((kind for name, kind in kinds.items() if name in attributes), onnx.TensorProto.STRING)
    elif node.op_type.endswith("Classifier"):
        first = onnx.TensorProto.STRING if "classlabels_strings" in attributes else onnx.TensorProto.INT64
    types = dict.fromkeys(node.output, onnx.TensorProto.FLOAT)
    return types | {node.output[0]: first}
