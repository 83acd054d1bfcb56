from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.description import Description, Hints, Tensor
from gateway.repository.kinds.base import Target
from gateway.repository.kinds.onnx import OnnxKind

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
KIND = OnnxKind()

Save = Callable[..., Path]


@pytest.fixture
def target(tmp_path: Path) -> Target:
    made = Target(tmp_path / "target", tmp_path / "target" / "1")
    made.version.mkdir(parents=True)
    return made


def linear(path: Path, batch: Any = "batch", out: Any = "batch", **save: Any) -> Path:
    """`y = x @ weights`, [batch, 3] to [batch, 2]."""
    return write(
        path,
        [onnx.helper.make_node("MatMul", ["x", "weights"], ["y"])],
        [("x", "FLOAT", [batch, 3])],
        [("y", "FLOAT", [out, 2])],
        {"weights": np.arange(6, dtype=np.float32).reshape(3, 2)},
        **save,
    )


def write(
    path: Path,
    nodes: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    weights: dict[str, Any] | None = None,
    **save: Any,
) -> Path:
    """A model of these nodes; a tensor is a ready value info, or its name, element type and shape."""

    def info(given: Any) -> Any:
        if not isinstance(given, tuple):
            return given
        return onnx.helper.make_tensor_value_info(given[0], getattr(onnx.TensorProto, given[1]), given[2])

    tensors = [onnx.numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    graph = onnx.helper.make_graph(nodes, "graph", [info(i) for i in inputs], [info(o) for o in outputs], tensors)
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9, producer_name="hands"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save_model(model, str(path), **save)
    return path


def external(path: Path, location: str = "weights.data") -> Path:
    """A model whose weights lie in `location`, which is written as it is given."""
    linear(path, save_as_external_data=True, location="weights.data", size_threshold=0)
    model = onnx.load_model(str(path), load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = location
    path.write_bytes(model.SerializeToString())
    return path


def prepare(source: Path, target: Target, hints: Hints | None = None) -> Description:
    return KIND.prepare(source, target, hints or Hints())


def test_a_file_becomes_model_onnx_and_tells_everything_about_itself(tmp_path: Path, target: Target) -> None:
    description = prepare(linear(tmp_path / "prices.onnx"), target)
    assert description == Description(
        kind="onnx",
        backend="onnxruntime",
        framework="onnx",
        inputs=(Tensor("x", "FP32", (-1, 3)),),
        outputs=(Tensor("y", "FP32", (-1, 2)),),
        batches=True,
        filename="model.onnx",
        size_bytes=(target.version / "model.onnx").stat().st_size,
        opset="ai.onnx 17",
        origin={"format": "ONNX", "producer": "hands"},
    )


def test_the_reference_is_what_onnx_runtime_computes(tmp_path: Path, target: Target) -> None:
    description = prepare(linear(tmp_path / "prices.onnx"), target)
    answer = KIND.reference(target.version, description, {"x": np.ones((4, 3), np.float32)})
    np.testing.assert_allclose(answer["y"], [[6, 9]] * 4)


def test_a_folder_with_one_model_and_its_data_is_served_with_the_data_under_its_name(
    tmp_path: Path, target: Target
) -> None:
    external(tmp_path / "drop" / "net.onnx")
    (tmp_path / "drop" / "notes.md").write_text("not served")
    description = prepare(tmp_path / "drop", target)
    assert sorted(path.name for path in target.version.iterdir()) == ["model.onnx", "weights.data"]
    answer = KIND.reference(target.version, description, {"x": np.ones((1, 3), np.float32)})
    np.testing.assert_allclose(answer["y"], [[6, 9]])


def test_data_in_a_folder_of_the_model_keeps_its_place(tmp_path: Path, target: Target) -> None:
    model = external(tmp_path / "drop" / "net.onnx", "data/weights.data")
    (model.parent / "data").mkdir()
    (model.parent / "weights.data").rename(model.parent / "data" / "weights.data")
    prepare(tmp_path / "drop", target)
    assert (target.version / "data" / "weights.data").is_file()


def test_data_beside_a_dropped_file_is_its_companion(tmp_path: Path) -> None:
    model = external(tmp_path / "net.onnx")
    assert KIND.companions(model) == (tmp_path / "weights.data",)
    (tmp_path / "weights.data").unlink()
    assert KIND.companions(model) == ()


@pytest.mark.parametrize("content", [b"", b"\x08", b"no model", b"\x3a\xff\xff\xff\xff\x07"])
def test_companions_of_what_is_no_model_are_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    assert KIND.companions(tmp_path / "m.onnx") == ()
    assert KIND.companions(tmp_path / "absent.onnx") == ()


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("/etc/passwd", "not a place inside the model's folder"),
        ("../secret", "not a place inside the model's folder"),
        ("a/../../secret", "not a place inside the model's folder"),
        ("a\0b", "not a place inside the model's folder"),
        ("", "not a place inside the model's folder"),
        ("*/_ORT_MEM_ADDR_/*", "is missing"),
        ("gone.data", "is missing; put that file beside net.onnx"),
        (".", "not a file"),
    ],
)
def test_external_data_stays_inside_of_the_folder(tmp_path: Path, target: Target, location: str, reason: str) -> None:
    external(tmp_path / "drop" / "net.onnx", location)
    (tmp_path / "secret").write_bytes(bytes(24))
    with pytest.raises(ModelRefused, match=reason) as refused:
        prepare(tmp_path / "drop", target)
    assert "'weights'" in str(refused.value)


def test_external_data_that_is_a_link_out_of_the_folder_is_refused(tmp_path: Path, target: Target) -> None:
    model = external(tmp_path / "drop" / "net.onnx")
    (model.parent / "weights.data").rename(tmp_path / "secret")
    (model.parent / "weights.data").symlink_to(tmp_path / "secret")
    with pytest.raises(ModelRefused, match=r"weights\.data.*link that leaves the folder"):
        prepare(tmp_path / "drop", target)


def test_external_data_of_a_file_is_beside_it_and_not_in_other_folders(tmp_path: Path, target: Target) -> None:
    (tmp_path / "other" / "1").mkdir(parents=True)
    (tmp_path / "other" / "1" / "w.data").write_bytes(bytes(24))
    model = external(tmp_path / "net.onnx", "other/1/w.data")
    assert KIND.companions(model) == ()
    with pytest.raises(ModelRefused, match="into a folder of their own"):
        prepare(model, target)


@pytest.mark.parametrize("name", ["other.onnx", "other.yaml", ".triton-gateway.json"])
def test_external_data_of_a_file_is_nothing_that_stands_for_itself(tmp_path: Path, target: Target, name: str) -> None:
    (tmp_path / name).write_bytes(bytes(24))
    model = external(tmp_path / "net.onnx", name)
    assert KIND.companions(model) == ()
    with pytest.raises(ModelRefused, match="into a folder of their own"):
        prepare(model, target)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
        (b"<!DOCTYPE html>", "web page"),
        (b"PK\x03\x04", "this is not an ONNX model"),
        (b"\x12\x02ab", "this is not an ONNX model|cannot open the model"),
    ],
)
def test_what_is_no_onnx_model_is_refused_in_words_for_what_it_is(
    tmp_path: Path, target: Target, content: bytes, reason: str
) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(ModelRefused, match=reason):
        prepare(tmp_path / "m.onnx", target)


def test_a_file_that_was_cut_short_is_refused_as_such(tmp_path: Path, target: Target) -> None:
    model = linear(tmp_path / "m.onnx")
    model.write_bytes(model.read_bytes()[:-20])
    with pytest.raises(ModelRefused, match=r"m\.onnx: the file ends in the middle of the model; copy it again"):
        prepare(model, target)


def test_a_file_whose_names_are_damaged_is_refused(tmp_path: Path, target: Target) -> None:
    model = write(
        tmp_path / "m.onnx",
        [onnx.helper.make_node("Relu", ["inp"], ["outp"])],
        [("inp", "FLOAT", ["n", 2])],
        [("outp", "FLOAT", ["n", 2])],
    )
    model.write_bytes(model.read_bytes().replace(b"outp", b"\xffutp"))
    with pytest.raises(ModelRefused, match=r"damaged|not an ONNX model|cannot open"):
        prepare(model, target)


def test_data_that_was_cut_short_is_refused(tmp_path: Path, target: Target) -> None:
    model = external(tmp_path / "m.onnx")
    (tmp_path / "weights.data").write_bytes(b"1234")
    with pytest.raises(ModelRefused, match=r"cannot open the model.*copy it again"):
        prepare(model, target)


def test_a_model_of_one_row_says_how_to_export_it_for_batches(tmp_path: Path, target: Target) -> None:
    description = prepare(linear(tmp_path / "m.onnx", 1, 1), target)
    assert not description.batches
    assert description.ambiguous == (
        "the first dimension is fixed to 1: the model can't batch; export it with a dynamic batch axis",
    )


def test_a_length_in_front_is_not_taken_for_a_batch(tmp_path: Path, target: Target) -> None:
    description = prepare(linear(tmp_path / "m.onnx", "seq_len", "seq_len"), target)
    assert not description.batches
    assert "called 'seq_len'" in description.ambiguous[0]


def test_a_person_decides_about_the_batch(tmp_path: Path, target: Target) -> None:
    model = linear(tmp_path / "m.onnx", "seq_len", "seq_len")
    description = prepare(model, target, Hints(batches=True))
    assert (description.batches, description.ambiguous) == (True, ())
    with pytest.raises(ModelRefused, match=r"'x' has the shape \[1, 3\], whose first dimension is no batch"):
        prepare(linear(tmp_path / "m.onnx", 1, 1), target, Hints(batches=True))


def test_first_dimensions_of_different_names_are_tried_out(tmp_path: Path, target: Target) -> None:
    assert prepare(linear(tmp_path / "m.onnx", "n", "y_dim_0"), target).batches
    kept = write(
        tmp_path / "nonzero.onnx",
        [onnx.helper.make_node("NonZero", ["x"], ["found"]), onnx.helper.make_node("Transpose", ["found"], ["at"])],
        [("x", "FLOAT", ["n", 3])],
        [("at", "INT64", ["count", 2])],
    )
    description = prepare(kept, target)
    assert not description.batches
    assert "not taken for a batch" in description.ambiguous[0]


def test_outputs_whose_rank_the_file_does_not_tell_are_found_by_running(tmp_path: Path, target: Target) -> None:
    unknown = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    model = write(
        tmp_path / "m.onnx",
        [onnx.helper.make_node("Reshape", ["x", "shape"], ["y"])],
        [("x", "FLOAT", ["n", 4])],
        [unknown],
        {"shape": np.array([-1, 2, 2], np.int64)},
    )
    assert len(prepare(model, target).outputs[0].shape) == 3


def test_an_input_of_unknown_rank_needs_a_hint(tmp_path: Path, target: Target) -> None:
    infos = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in "xy"]
    model = write(tmp_path / "m.onnx", [onnx.helper.make_node("Relu", ["x"], ["y"])], infos[:1], infos[1:])
    with pytest.raises(ModelRefused, match="how many dimensions input 'x' has"):
        prepare(model, target)
    description = prepare(model, target, Hints(inputs=(Tensor("x", "FP32", (-1, 5)),)))
    assert [tensor.shape for tensor in (*description.inputs, *description.outputs)] == [(-1, 5), (-1, -1)]


def test_scalars_are_one_element_to_requests(tmp_path: Path, target: Target) -> None:
    model = write(
        tmp_path / "m.onnx",
        [onnx.helper.make_node("Add", ["x", "x"], ["y"])],
        [("x", "FLOAT", [])],
        [("y", "FLOAT", [])],
    )
    description = prepare(model, target)
    assert (description.inputs[0].shape, description.outputs[0].shape, description.batches) == ((1,), (1,), False)
    answer = KIND.reference(target.version, description, {"x": np.array([2], np.float32)})
    assert answer["y"].tolist() == [4]


def test_inputs_with_a_default_are_optional(tmp_path: Path, target: Target) -> None:
    def scaled(first: Any) -> Path:
        return write(
            tmp_path / "m.onnx",
            [onnx.helper.make_node("Mul", ["x", "scale"], ["y"])],
            [("x", "FLOAT", [first, 2]), ("scale", "FLOAT", [2])],
            [("y", "FLOAT", [first, 2])],
            {"scale": np.array([2, 3], np.float32)},
        )

    description = prepare(scaled(4), target)
    assert description.inputs[1] == Tensor("scale", "FP32", (2,), optional=True)
    answer = KIND.reference(target.version, description, {"x": np.ones((4, 2), np.float32)})
    assert answer["y"][0].tolist() == [2, 3]
    batching = prepare(scaled("batch"), target)
    assert [tensor.name for tensor in batching.inputs] == ["x"]
    assert batching.batches
    assert "left out, as they have no batch: scale" in batching.ambiguous[0]


def test_strings_travel_as_bytes(tmp_path: Path, target: Target) -> None:
    model = write(
        tmp_path / "m.onnx",
        [onnx.helper.make_node("Identity", ["x"], ["y"])],
        [("x", "STRING", ["batch", 2])],
        [("y", "STRING", ["batch", 2])],
    )
    description = prepare(model, target)
    assert description.inputs[0].datatype == "BYTES"
    given = np.array([[b"one", "zwölf".encode()]], object)
    assert KIND.reference(target.version, description, {"x": given})["y"].tolist() == given.tolist()


def test_bfloat16_is_described_and_has_no_reference(tmp_path: Path, target: Target) -> None:
    model = write(
        tmp_path / "m.onnx",
        [onnx.helper.make_node("Identity", ["x"], ["y"])],
        [("x", "BFLOAT16", ["batch", 2])],
        [("y", "BFLOAT16", ["batch", 2])],
    )
    description = prepare(model, target)
    assert description.outputs == (Tensor("y", "BF16", (-1, 2)),)
    assert KIND.reference(target.version, description, {}) == {}


def test_a_classifier_of_scikit_learn_with_a_zipmap_says_how_to_export_without(tmp_path: Path, target: Target) -> None:
    scores = onnx.helper.make_value_info(
        "probabilities",
        onnx.helper.make_sequence_type_proto(
            onnx.helper.make_map_type_proto(
                onnx.TensorProto.INT64, onnx.helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, None)
            )
        ),
    )
    node = onnx.helper.make_node("ZipMap", ["x"], ["probabilities"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2])
    model = write(tmp_path / "m.onnx", [node], [("x", "FLOAT", ["batch", 3])], [scores])
    opened = onnx.load_model(str(model))
    opened.opset_import.append(onnx.helper.make_opsetid("ai.onnx.ml", 3))
    onnx.save_model(opened, str(model))
    with pytest.raises(ModelRefused, match=r"'probabilities' is seq\(map.*'zipmap': False"):
        prepare(model, target)


def test_sequences_are_refused(tmp_path: Path, target: Target) -> None:
    parts = onnx.helper.make_tensor_sequence_value_info("parts", onnx.TensorProto.FLOAT, None)
    model = write(
        tmp_path / "m.onnx",
        [onnx.helper.make_node("SplitToSequence", ["x"], ["parts"])],
        [("x", "FLOAT", ["batch", 3])],
        [parts],
    )
    with pytest.raises(ModelRefused, match=r"output 'parts' is seq\(tensor\(float\)\).*so that it is a tensor"):
        prepare(model, target)


def test_operators_that_onnx_runtime_lacks_are_named(tmp_path: Path, target: Target) -> None:
    node = onnx.helper.make_node("Magic", ["x"], ["y"], domain="my.company")
    model = write(tmp_path / "m.onnx", [node], [("x", "FLOAT", ["batch", 3])], [("y", "FLOAT", ["batch", 3])])
    opened = onnx.load_model(str(model))
    opened.opset_import.append(onnx.helper.make_opsetid("my.company", 1))
    onnx.save_model(opened, str(model))
    with pytest.raises(ModelRefused, match=r"Magic.*lacks that operator"):
        prepare(model, target)


def test_hints_narrow_shapes_and_may_not_contradict_the_file(tmp_path: Path, target: Target) -> None:
    model = write(
        tmp_path / "m.onnx",
        [onnx.helper.make_node("Relu", ["x"], ["y"])],
        [("x", "FLOAT", ["batch", "width"])],
        [("y", "FLOAT", ["batch", "width"])],
    )
    assert prepare(model, target, Hints(inputs=(Tensor("x", "", (-1, 7)),))).inputs[0].shape == (-1, 7)
    with pytest.raises(ModelRefused, match=r"'x' is FP32 in the model, not INT64"):
        prepare(model, target, Hints(inputs=(Tensor("x", "INT64", (-1, 7)),)))
    with pytest.raises(ModelRefused, match=r"no input 'X'.*'x'"):
        prepare(model, target, Hints(inputs=(Tensor("X", "FP32", (-1, 7)),)))


def test_what_is_recognised(tmp_path: Path) -> None:
    drop = tmp_path / "drop"
    linear(drop / "net.ONNX")
    assert KIND.recognise(drop)
    assert KIND.recognise(drop / "net.ONNX")
    (drop / "model.py").write_text("class TritonPythonModel: ...")
    assert not KIND.recognise(drop)
    (drop / "model.py").write_text("print('how it was trained')")
    assert KIND.recognise(drop)
    linear(drop / "second.onnx")
    assert not KIND.recognise(drop)
    assert not KIND.recognise(tmp_path / "absent")
    linear(tmp_path / "triton" / "1" / "model.onnx")
    assert not KIND.recognise(tmp_path / "triton")
