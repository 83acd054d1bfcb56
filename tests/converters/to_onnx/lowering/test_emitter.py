from __future__ import annotations

import numpy as np
import onnx
import pytest

from converters.errors import Unsupported
from converters.to_onnx.lowering.emitter import Emitter


@pytest.fixture
def emit() -> Emitter:
    node = onnx.helper.make_node("Scaler", ["rows"], ["scaled", ""], domain="ai.onnx.ml", kind="x", scale=[1.0])
    types = {"rows": onnx.TensorProto.FLOAT, "whole": onnx.TensorProto.INT64, "double": onnx.TensorProto.DOUBLE}
    before = {"table": onnx.numpy_helper.from_array(np.arange(3), "table")}
    return Emitter(node, "scaler", types, before, {"label": ("a", "b")})


def test_names_begin_with_the_nodes_own_and_say_the_part(emit: Emitter) -> None:
    first = emit("Neg", "rows")
    second = emit("Abs", first, part="splits", output="scaled")
    assert (first, second) == ("scaler/Neg_0", "scaled")
    assert [node.name for node in emit.nodes] == ["scaler/Neg_0", "scaler/splits/Abs_1"]
    assert [emit.constant(1.5), emit.axes(0, -1)] == ["scaler/constant_0", "scaler/constant_1"]
    assert onnx.numpy_helper.to_array(emit.constants[1]).tolist() == [0, -1]


def test_only_what_is_not_float32_is_cast(emit: Emitter) -> None:
    assert emit.as_float("rows") == "rows"
    assert emit.nodes == []
    emit.as_float("whole")
    assert [node.op_type for node in emit.nodes] == ["Cast"]


@pytest.mark.parametrize(("tensor", "what"), [("double", "double is float64"), ("label", "label holds text")])
def test_what_cannot_be_float32(emit: Emitter, tensor: str, what: str) -> None:
    with pytest.raises(Unsupported, match=what) as raised:
        emit.as_float(tensor)
    assert raised.value.place.node == "'scaled' (Scaler)"


def test_what_it_knows_of_the_source(emit: Emitter) -> None:
    assert emit.attributes() == {"kind": "x", "scale": [1.0]}
    assert (emit.output(0), emit.output(1), emit.output(2)) == ("scaled", "", "")
    table = emit.constant_before("table")
    assert table is not None
    assert table.tolist() == [0, 1, 2]
    assert emit.constant_before("rows") is None
