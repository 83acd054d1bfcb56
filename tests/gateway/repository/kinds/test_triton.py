from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.description import Description, Hints, Tensor
from gateway.repository.kinds.base import Target
from gateway.repository.kinds.triton import TritonKind
from tests.backends.sample_models import onnx_model

KIND = TritonKind()
CONFIG = """
backend: "dali"  max_batch_size: 8
input { name: "IMAGE" data_type: TYPE_UINT8 dims: [ -1 ] optional: true }
output { name: "PIXELS" data_type: TYPE_FP32 dims: [ 3, 224, 224 ] label_filename: "names.txt" }
"""
ENSEMBLE = """
platform: "ensemble"
input { name: "A" data_type: TYPE_STRING dims: [ 1 ] }
output { name: "B" data_type: TYPE_INT64 dims: [ 1 ] }
ensemble_scheduling { step { model_name: "m" model_version: -1 } }
"""


@pytest.fixture
def target(tmp_path: Path) -> Target:
    made = Target(tmp_path / "target", tmp_path / "target" / "1")
    made.version.mkdir(parents=True)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model of a backend that is not known here."""
    (tmp_path / "model" / "1").mkdir(parents=True)
    (tmp_path / "model" / "1" / "pipeline.bin").write_bytes(b"one")
    (tmp_path / "model" / "config.pbtxt").write_text(CONFIG)
    (tmp_path / "model" / "names.txt").write_text("cat\n")
    return tmp_path / "model"


def linear(version: Path, name: str = "model.onnx", rows: str | int = "batch") -> Path:
    onnx = pytest.importorskip("onnx")
    return onnx_model(
        version / name,
        [onnx.helper.make_node("Add", ["x", "x"], ["y"])],
        [("x", "FLOAT", [rows, 3])],
        [("y", "FLOAT", [rows, 3])],
    )


def prepare(source: Path, target: Target) -> Description:
    return KIND.prepare(source, target, Hints())


def refusal(source: Path, target: Target) -> str:
    with pytest.raises(ModelRefused) as refused:
        prepare(source, target)
    return refused.value.message


def test_a_complete_configuration_describes_a_model_of_any_backend(folder: Path, target: Target) -> None:
    assert prepare(folder, target) == Description(
        kind="triton",
        backend="dali",
        framework=None,
        inputs=(Tensor("IMAGE", "UINT8", (-1, -1), optional=True),),
        outputs=(Tensor("PIXELS", "FP32", (-1, 3, 224, 224), labels="names.txt"),),
        batches=True,
        filename="",
        size_bytes=3,
        origin={"format": "Triton model folder"},
    )
    assert (target.model / "config.pbtxt").read_text() == CONFIG
    assert (target.model / "names.txt").is_file()


def test_the_highest_version_with_files_is_taken(folder: Path, target: Target) -> None:
    for number, content in (("10", b"ten"), ("9", b"nine")):
        (folder / number).mkdir()
        (folder / number / "pipeline.bin").write_bytes(content)
    (folder / "11").mkdir()
    (folder / "old").mkdir()
    prepare(folder, target)
    assert (target.version / "pipeline.bin").read_bytes() == b"ten"
    assert sorted(path.name for path in target.model.iterdir()) == ["1", "config.pbtxt", "names.txt", "old"]


def test_without_a_configuration_the_model_inside_is_asked(tmp_path: Path, target: Target) -> None:
    linear(tmp_path / "model" / "3")
    description = prepare(tmp_path / "model", target)
    assert (description.kind, description.backend, description.framework) == ("triton", "onnxruntime", "onnx")
    assert (description.inputs, description.batches) == ((Tensor("x", "FP32", (-1, 3)),), True)
    assert description.origin["model"] == "ONNX"
    answer = KIND.reference(target.version, description, {"x": np.ones((2, 3), np.float32)})
    assert answer["y"].tolist() == [[2, 2, 2]] * 2


def test_what_a_configuration_leaves_open_the_model_inside_tells(tmp_path: Path, target: Target) -> None:
    linear(tmp_path / "model" / "1", "net.onnx")
    (tmp_path / "model" / "config.pbtxt").write_text(
        'platform: "onnxruntime_onnx" default_model_filename: "net.onnx" max_batch_size: 2\n'
        'input { name: "x" data_type: TYPE_FP32 dims: [ 3 ] }'
    )
    description = prepare(tmp_path / "model", target)
    assert (description.backend, description.filename) == ("onnxruntime", "net.onnx")
    assert [tensor.shape for tensor in (*description.inputs, *description.outputs)] == [(-1, 3), (-1, 3)]
    assert sorted(path.name for path in target.version.iterdir()) == ["net.onnx"]


def test_an_ensemble_is_described_by_its_configuration_alone(tmp_path: Path, target: Target) -> None:
    (tmp_path / "model" / "1").mkdir(parents=True)
    (tmp_path / "model" / "config.pbtxt").write_text(ENSEMBLE)
    assert KIND.recognise(tmp_path / "model")
    description = prepare(tmp_path / "model", target)
    assert (description.backend, description.filename, description.batches) == ("ensemble", "", False)
    assert KIND.reference(target.version, description, {}) == {}


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ('backend: "dali"', "gives no input and no output; write max_batch_size, input and output there"),
        (CONFIG.replace("data_type: TYPE_UINT8", ""), "gives an input or output without name, data_type or dims"),
        ("", "holds pipeline.bin, and nothing says which backend serves that"),
        (
            'backend: "onnxruntime"',
            "the backend 'onnxruntime' looks for model.onnx in the version folder, which holds pip",
        ),
        ('backend: "dali" default_model_filename: "m.bin"', "looks for m.bin in the version folder"),
        (CONFIG + "version_policy { specific { versions: [ 1, 3 ] } }", "serves only the versions 1, 3"),
        (CONFIG.replace("names.txt", "classes.txt"), "names the label file 'classes.txt'"),
        ("backend: dali", "config.pbtxt, line 1"),
    ],
)
def test_what_is_wrong_with_a_configuration_is_said(folder: Path, target: Target, config: str, reason: str) -> None:
    (folder / "config.pbtxt").write_text(config)
    assert reason in refusal(folder, target)


def test_a_broken_model_inside_is_refused_in_the_words_of_its_kind(tmp_path: Path, target: Target) -> None:
    linear(tmp_path / "model" / "1").write_bytes(b"\x08\x09\x12\xff")
    assert "model.onnx: the file ends in the middle of the model" in refusal(tmp_path / "model", target)


def test_links_out_of_the_folder_are_refused(folder: Path, target: Target) -> None:
    (folder / "1" / "passwords").symlink_to("/etc/passwd")
    assert "is a link that leaves the folder" in refusal(folder, target)


def test_what_is_recognised(folder: Path, tmp_path: Path) -> None:
    assert KIND.recognise(folder)
    assert KIND.companions(folder) == ()
    assert not KIND.recognise(folder / "config.pbtxt")
    assert not KIND.recognise(tmp_path / "absent")
    (folder / "1" / "pipeline.bin").unlink()
    assert not KIND.recognise(folder)
