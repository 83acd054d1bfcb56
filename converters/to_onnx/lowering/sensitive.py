"""Which nodes of a model must stay float32 when the rest goes to half precision."""

from __future__ import annotations

import onnx

from converters.to_onnx.lowering.traversal import SPLITS


def precision_sensitive_nodes(model: onnx.ModelProto) -> frozenset[str]:
    """The names of all nodes that decide which way rows take through trees, and of all that these depend on.

    A feature rounded to half precision may pass a threshold that it did not reach, and ends at another leaf; the sums
    of leaves afterwards may be rounded. Empty for models without trees.

    Args:
        model: as `TensorOperatorsFromOnnx` gives it, or simplified since.
    """
    makers = {name: node for node in model.graph.node for name in node.output}
    found: set[str] = set()
    waiting = [node for node in model.graph.node if f"/{SPLITS}/" in node.name]
    while waiting:
        node = waiting.pop()
        if node.name not in found:
            found.add(node.name)
            waiting.extend(makers[name] for name in node.input if name in makers)
    return frozenset(found)
