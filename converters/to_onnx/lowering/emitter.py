"""Writes the tensor operators that stand for one node of the original graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import onnx

from converters.arrays import Array
from converters.errors import Place, Unsupported
from converters.graph.names import label

STEP = "tensor operators"


@dataclass(slots=True, eq=False)
class Emitter:
    """Collects nodes and constants; all names begin with the name of the node that they stand for.

    Attributes:
        source: the node that is being written out; its outputs' names are kept.
        prefix: what the new names begin with; unique in the graph.
        element_types: ONNX element types of the original graph's tensors, as far as they are known.
        constants_before: the original graph's initializers by name.
        labels: class labels by tensor, for tensors that hold indices of text labels.
        nodes: what was written so far, in order.
        constants: the initializers that these nodes read.
    """

    source: onnx.NodeProto
    prefix: str
    element_types: Mapping[str, int]
    constants_before: Mapping[str, onnx.TensorProto]
    labels: dict[str, tuple[str, ...]]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def __call__(self, operator: str, *inputs: str, part: str = "", output: str = "", **attributes: Any) -> str:
        """Adds a node of one output.

        Args:
            operator: of ONNX's own domain, as operator set 18 defines it.
            inputs: names of tensors.
            part: a word for the node's name that says what it belongs to.
            output: the name of its output; by default the node's own name.
            attributes: the operator's.

        Returns:
            The output's name.
        """
        name = "/".join(filter(None, (self.prefix, part, f"{operator}_{len(self.nodes)}")))
        output = output or name
        self.nodes.append(onnx.helper.make_node(operator, list(inputs), [output], name=name, **attributes))
        return output

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        """Adds an initializer and gives its name."""
        name = f"{self.prefix}/constant_{len(self.constants)}"
        self.constants.append(onnx.numpy_helper.from_array(np.asarray(values, dtype=dtype), name))
        return name

    def axes(self, *numbers: int) -> str:
        """Axes, or a shape, as operators take them."""
        return self.constant(numbers, np.int64)

    def as_float(self, tensor: str) -> str:
        """The tensor as float32.

        Raises:
            Unsupported: it is float64 or text.
        """
        kind = self.element_types.get(tensor)
        if kind == onnx.TensorProto.DOUBLE:
            self.refuse(
                f"{tensor} is float64, which TensorRT does not calculate with",
                "convert the model with float32 inputs (skl2onnx: `FloatTensorType`)",
            )
        if kind == onnx.TensorProto.STRING or tensor in self.labels:
            self.refuse(
                f"{tensor} holds text, which TensorRT does not know",
                "encode text before it is sent, and convert the model without the step that does so",
            )
        return tensor if kind == onnx.TensorProto.FLOAT else self("Cast", tensor, to=onnx.TensorProto.FLOAT)

    def attributes(self) -> dict[str, Any]:
        """The source's attributes by name, text decoded."""
        values = {a.name: onnx.helper.get_attribute_value(a) for a in self.source.attribute}
        return {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}

    def output(self, index: int) -> str:
        """The name of the source's output; empty if it has none there."""
        return self.source.output[index] if index < len(self.source.output) else ""

    def constant_before(self, tensor: str) -> Array | None:
        """The values of an initializer of the original graph; None if the tensor is none."""
        found = self.constants_before.get(tensor)
        return None if found is None else np.asarray(onnx.numpy_helper.to_array(found))

    def refuse(self, what: str, hint: str) -> NoReturn:
        """Raises the error that names the source."""
        raise Unsupported(what, hint=hint, place=Place(step=STEP, node=label(self.source)))
