from pathlib import Path

import pytest

from gateway.config import RepositorySection
from gateway.core.errors import ModelRefused
from gateway.repository import config_text, record
from gateway.repository.complete import Completer
from gateway.repository.store import Store

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder with a model and no configuration."""
    helper, types = onnx.helper, onnx.TensorProto
    x, y = (helper.make_tensor_value_info(name, types.FLOAT, ["batch", 3]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", [x], [y])
    version = tmp_path / "models" / "relu" / "1"
    version.mkdir(parents=True)
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), version / "model.onnx")
    return version.parent


@pytest.fixture
def completer(folder: Path) -> Completer:
    return Completer(Store(folder.parent), RepositorySection(path=folder.parent))


async def test_what_is_left_out_is_written(folder: Path, completer: Completer) -> None:
    assert completer.needs("relu")
    await completer.complete("relu")
    assert config_text.is_complete((folder / "config.pbtxt").read_text())
    assert not completer.needs("relu")
    known = record.read(folder)
    assert known is not None
    assert known.versions[1].source == ""
    assert known.versions[1].description is not None


async def test_what_was_written_by_hand_stays_byte_for_byte(folder: Path, completer: Completer) -> None:
    mine = '# mine\nname: "relu"\nmax_batch_size:   5\n'
    (folder / "config.pbtxt").write_text(mine)
    assert completer.needs("relu")
    await completer.complete("relu")
    assert (folder / "config.pbtxt").read_text().startswith(mine)


async def test_a_model_that_cannot_be_described_is_left_alone_and_not_tried_again(
    folder: Path, completer: Completer
) -> None:
    (folder / "1" / "model.onnx").write_bytes(b"no model")
    assert completer.needs("relu")
    with pytest.raises(ModelRefused):
        await completer.complete("relu")
    assert not (folder / "config.pbtxt").exists()
    assert not completer.needs("relu")


def test_complete_configurations_ensembles_and_other_folders_need_nothing(folder: Path, completer: Completer) -> None:
    for name, text in (("an_ensemble", 'platform: "ensemble"\n'), ("a_plan", 'backend: "tensorrt"\n')):
        (folder.parent / name / "1").mkdir(parents=True)
        (folder.parent / name / "config.pbtxt").write_text(text)
    (folder.parent / "notes").mkdir()
    assert not any(completer.needs(name) for name in ("an_ensemble", "a_plan", "notes", "missing"))
