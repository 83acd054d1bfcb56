"""Shape inference for models of any size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import onnx

from converters.errors import Unsupported
from converters.graph.subgraphs import graphs_of

# A protocol buffer ends at 2 GiB; the graph itself needs some room beside the weights.
LARGEST = 2**31 - 2**25
# Smaller weights may be shapes and axes, whose values shape inference needs.
_SMALL = 2**16
_ELSEWHERE = onnx.TensorProto.EXTERNAL


def weights_of(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """All constant tensors: the initializers and what Constant nodes hold, subgraphs' included."""
    for graph in graphs_of(model.graph):
        yield from graph.initializer
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.type == onnx.AttributeProto.TENSOR:
                    yield attribute.t


def is_large(model: onnx.ModelProto) -> bool:
    """Whether the model is too large to be one protocol buffer, so that its weights must lie in a file of their own."""
    return sum(len(tensor.raw_data) for tensor in weights_of(model)) > LARGEST


def inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the shape of every tensor that can be inferred; the model given is left as it is.

    Raises:
        Unsupported: the graph is such that nothing can be inferred, for want of operator sets for one.
    """
    kept = _detached(model) if is_large(model) else {}
    try:
        result = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
        raise Unsupported(
            f"the graph's shapes cannot be inferred: {' '.join(str(error).split())[:500]}",
            hint="export the model again; `onnx.checker.check_model(model, full_check=True)` says the same of the file",
        ).at(step="shape inference") from None
    finally:
        _attach(model, kept)
    _attach(result, kept)
    return result


def _detached(model: onnx.ModelProto) -> dict[str, bytes]:
    """Take large initializers' values out of the model, and give them by name."""
    kept = {}
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) > _SMALL:
            kept[tensor.name] = tensor.raw_data
            tensor.ClearField("raw_data")
            tensor.data_location = _ELSEWHERE
    return kept


def _attach(model: onnx.ModelProto, kept: Mapping[str, bytes]) -> None:
    for tensor in model.graph.initializer:
        if tensor.name in kept:
            tensor.raw_data = kept[tensor.name]
            tensor.ClearField("data_location")
