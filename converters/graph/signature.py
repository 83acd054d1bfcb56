"""What a model takes and gives: names, datatypes and shapes, as its ONNX graph says."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from converters.arrays import DATATYPES


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output.

    Attributes:
        name: as the graph names it.
        datatype: as the Open Inference Protocol names it, such as "FP32"; empty for what the protocol cannot carry.
        shape: one entry a dimension, the batch included: a size, or a name (or "") for what is chosen at run time;
            None where the graph does not even say how many dimensions there are.
    """

    name: str
    datatype: str
    shape: tuple[int | str, ...] | None

    def __str__(self) -> str:
        shape = "any rank" if self.shape is None else ", ".join(str(size or "?") for size in self.shape)
        return f"{self.name}: {self.datatype or 'unknown'} [{shape}]"


@dataclass(frozen=True, slots=True)
class Signature:
    """All inputs and outputs, in the graph's order."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @property
    def batches(self) -> bool:
        """Whether the first dimension of everything is one that is chosen at run time."""
        tensors = (*self.inputs, *self.outputs)
        return bool(tensors) and all(t.shape and isinstance(t.shape[0], str) for t in tensors)


def signature_of(model: onnx.ModelProto) -> Signature:
    """The signature of a graph; initializers that are listed as inputs too, as old exporters do, are left out."""
    weights = {initializer.name for initializer in model.graph.initializer}
    return Signature(
        inputs=tuple(_tensor(value) for value in model.graph.input if value.name not in weights),
        outputs=tuple(_tensor(value) for value in model.graph.output),
    )


def _tensor(value: onnx.ValueInfoProto) -> Tensor:
    kind = value.type.tensor_type
    shape = tuple(_size(dimension) for dimension in kind.shape.dim) if kind.HasField("shape") else None
    return Tensor(value.name, _datatype(kind.elem_type), shape)


def _size(dimension: onnx.TensorShapeProto.Dimension) -> int | str:
    # Old exporters write -1 as a size where they mean "any".
    return int(dimension.dim_value) if dimension.dim_value > 0 else str(dimension.dim_param)


def _datatype(code: int) -> str:
    if code == onnx.TensorProto.STRING:
        return "BYTES"
    if code == onnx.TensorProto.BFLOAT16:
        return "BF16"
    try:
        return DATATYPES.get(onnx.helper.tensor_dtype_to_np_dtype(code).name, "")
    except (KeyError, TypeError):
        return ""
