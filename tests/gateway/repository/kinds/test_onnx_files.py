from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import MalformedMessage, ModelRefused
from gateway.repository.kinds.onnx_files import data_files, external_tensors

onnx = pytest.importorskip("onnx")


def stored(name: str, location: str) -> Any:
    """A tensor whose data lies in a file."""
    tensor = onnx.TensorProto(name=name, data_type=onnx.TensorProto.FLOAT, dims=[1])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("offset", "0"), ("location", location), ("length", "4")):
        tensor.external_data.add(key=key, value=value)
    return tensor


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Tensors in every place that an ONNX file has for them."""
    made = onnx.ModelProto(ir_version=9)
    graph = made.graph
    graph.initializer.append(stored("weights", "a"))
    graph.initializer.append(onnx.TensorProto(name="inside", data_type=onnx.TensorProto.FLOAT, float_data=[1]))
    graph.sparse_initializer.add(values=stored("sparse", "b"), indices=stored("indices", "c"))
    node = graph.node.add(op_type="If")
    node.attribute.add(name="value", t=stored("attribute", "d"))
    node.attribute.add(name="values", tensors=[stored("list", "e")])
    node.attribute.add(name="branch").g.initializer.append(stored("branch", "f"))
    node.attribute.add(name="branches").graphs.add().initializer.append(stored("branches", "g"))
    made.functions.add(name="f").node.add(op_type="Constant").attribute.add(name="v", t=stored("function", "h"))
    made.training_info.add().initialization.initializer.append(stored("training", "a"))
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    return tmp_path / "m.onnx"


def test_tensors_are_found_wherever_they_stand(model: Path) -> None:
    assert sorted(external_tensors(model)) == [
        ("attribute", "d"),
        ("branch", "f"),
        ("branches", "g"),
        ("function", "h"),
        ("indices", "c"),
        ("list", "e"),
        ("sparse", "b"),
        ("training", "a"),
        ("weights", "a"),
    ]


def test_each_file_is_told_once(model: Path) -> None:
    for name in "abcdefgh":
        (model.parent / name).write_bytes(bytes(4))
    assert sorted(data_files(model, alone=True)) == list("abcdefgh")
    (model.parent / "f").unlink()
    with pytest.raises(ModelRefused, match="tensor 'branch' lies in 'f', which is missing"):
        data_files(model, alone=True)


@pytest.mark.parametrize("kept", [0, 1, 40, -1])
def test_a_file_that_is_cut_short_is_malformed(model: Path, kept: int) -> None:
    model.write_bytes(model.read_bytes()[:kept] if kept != 1 else b"\x3a")
    with pytest.raises(MalformedMessage):
        list(external_tensors(model))


def test_a_file_named_in_another_piece_of_the_same_tensor_counts(tmp_path: Path) -> None:
    """Protobuf merges the pieces of a message; the last location wins."""
    first, second = stored("weights", "a").SerializeToString(), stored("", "/etc/passwd")
    second.ClearField("data_location")
    pieces = b"".join(b"\x2a" + bytes([len(piece)]) + piece for piece in (first, second.SerializeToString()))
    merged = onnx.AttributeProto.FromString(pieces)
    assert merged.t.data_location == onnx.TensorProto.EXTERNAL
    assert merged.t.external_data[-2].value == "/etc/passwd"
    model = b""
    for field, within in (
        (0x2A, pieces),
        (0x0A, None),
        (0x3A, None),
    ):  # the node's attribute, the graph's node, the graph
        model = bytes([field, len(within or model)]) + (within or model)
    (tmp_path / "m.onnx").write_bytes(model)
    (tmp_path / "a").write_bytes(bytes(4))
    with pytest.raises(ModelRefused, match="'/etc/passwd', which is not a place inside"):
        data_files(tmp_path / "m.onnx", alone=True)
