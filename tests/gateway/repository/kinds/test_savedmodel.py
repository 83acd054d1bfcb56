from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tensorflow'")

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from backends.tensorflow import saved_model as served
from gateway.core.errors import ModelRefused
from gateway.repository.description import Hints, Tensor
from gateway.repository.kinds.savedmodel import SavedModelKind
from tests.backends.sample_models import saved_model
from tests.gateway.repository.kinds.preparing import prepare, serve

KIND = SavedModelKind()
ROWS = {"x": ([None, 3], tf.float32)}


def twice(x: Any) -> dict[str, Any]:
    return {"y": x * 2}


@pytest.fixture(scope="module")
def dropped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_model(tmp_path_factory.mktemp("drops") / "twice", {"serving_default": (twice, ROWS)})


def test_the_signature_is_served_and_equals_tensorflows(dropped: Path, tmp_path: Path) -> None:
    assert KIND.recognise(dropped)
    assert not KIND.recognise(dropped / "saved_model.pb")
    assert KIND.companions(dropped) == ()
    version, found = prepare(KIND, dropped, tmp_path / "twice")
    assert (found.backend, found.filename, found.batches) == ("tensorflow", "model.savedmodel", True)
    assert found.inputs == (Tensor("x", "FP32", (-1, 3)),)
    assert found.outputs == (Tensor("y", "FP32", (-1, 3)),)
    assert (found.parameters, found.ambiguous) == ({}, ())
    assert (version / "model.savedmodel/saved_model.pb").is_file()
    array = np.array([[1, 2, 3]], np.float32)
    assert KIND.reference(version, found, {"x": array})["y"].tolist() == [[2, 4, 6]]
    assert serve(served, version, found, {"x": array})["y"].tolist() == [[2, 4, 6]]


def test_a_model_whose_objects_cannot_be_rebuilt_runs_as_a_graph(dropped: Path, tmp_path: Path) -> None:
    version, found = prepare(KIND, dropped, tmp_path / "twice")
    path = version / "model.savedmodel/saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    saved.meta_graphs[0].object_graph_def.nodes[0].children.add(node_id=999, local_name="gone")
    path.write_bytes(saved.SerializeToString())
    with pytest.raises(IndexError):
        tf.saved_model.load(str(path.parent))
    assert KIND.reference(version, found, {"x": np.ones((1, 3), np.float32)})["y"].tolist() == [[2, 2, 2]]


def test_it_is_described_without_importing_tensorflow(dropped: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from gateway.repository.description import Hints;"
        "from gateway.repository.kinds.savedmodel import describe_saved_model;"
        f"describe_saved_model(Path({str(dropped)!r}), Hints()); assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_only_what_belongs_to_it_is_copied(dropped: Path, tmp_path: Path) -> None:
    source = tmp_path / "drop"
    source.mkdir()
    for path in dropped.iterdir():
        (source / path.name).symlink_to(path)
    (source / "model.yaml").write_text("batches: true")
    version, _ = prepare(KIND, source, tmp_path / "twice")
    assert {path.name for path in (version / "model.savedmodel").iterdir()} == {
        "saved_model.pb",
        "variables",
        "assets",
        "fingerprint.pb",
    } & {path.name for path in dropped.iterdir()}


def test_of_several_signatures_one_is_chosen_and_the_others_told(tmp_path: Path) -> None:
    one = saved_model(tmp_path / "one", {"serving_default": (twice, ROWS), "other": (lambda x: {"z": x}, ROWS)})
    _, found = prepare(KIND, one, tmp_path / "a")
    assert found.parameters == {}
    assert "the signature 'serving_default' is served; the SavedModel has other, too" in found.ambiguous[0]
    two = saved_model(tmp_path / "two", {"predict": (twice, ROWS)})
    version, found = prepare(KIND, two, tmp_path / "b")
    assert found.parameters == {"TF_SIGNATURE_DEF": "predict"}
    ones = {"x": np.ones((1, 3), np.float32)}
    assert KIND.reference(version, found, ones)["y"].tolist() == [[2, 2, 2]]
    assert serve(served, version, found, ones)["y"].tolist() == [[2, 2, 2]]


def test_outputs_of_unknown_rank_are_found_by_running(tmp_path: Path) -> None:
    source = saved_model(tmp_path / "unknown", {"serving_default": (twice, {"x": (None, tf.float32)})})
    with pytest.raises(ModelRefused, match="does not say how many dimensions input 'x' has"):
        prepare(KIND, source, tmp_path / "a")
    _, found = prepare(KIND, source, tmp_path / "b", Hints(inputs=(Tensor("x", "FP32", (-1, 3)),)))
    assert found.outputs == (Tensor("y", "FP32", (-1, 3)),)
    assert found.batches


def test_what_triton_cannot_carry_is_refused(tmp_path: Path) -> None:
    source = saved_model(tmp_path / "complex", {"serving_default": (twice, {"x": ([2], tf.complex64)})})
    with pytest.raises(ModelRefused, match="input 'x' of the SavedModel is sparse, ragged, or of a datatype"):
        prepare(KIND, source, tmp_path / "a")


def test_a_model_without_a_signature_is_refused(tmp_path: Path) -> None:
    tf.saved_model.save(tf.Module(), str(tmp_path / "none"))
    with pytest.raises(ModelRefused, match=r"no signature with inputs and outputs; .* model\.export"):
        prepare(KIND, tmp_path / "none", tmp_path / "a")


def test_an_incomplete_folder_is_refused(dropped: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelRefused, match=r"no saved_model\.pb"):
        prepare(KIND, tmp_path / "empty", tmp_path / "a")
