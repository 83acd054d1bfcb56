import os
from pathlib import Path

import pytest
import yaml

from gateway.core.errors import ModelRefused, SetupError
from gateway.repository import inbox
from gateway.repository.description import Tensor
from gateway.repository.drops import INBOX, find
from tests.gateway.repository.dropped import onnx_model

IMAGE = Tensor("image", "FP32", (-1, 3, 224, 224))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def hidden(repository: Path) -> list[str]:
    return [path.name for path in (repository / INBOX).iterdir() if path.name.startswith(".")]


def test_a_file_becomes_a_drop_of_the_name_that_was_chosen(repository: Path, elsewhere: Path) -> None:
    source = onnx_model(elsewhere / "model-2024.onnx", "Abs")
    (elsewhere / "model-2024.npz").write_bytes(b"sample")
    target = inbox.put(repository, "fraud", source)
    assert target == repository / INBOX / "fraud"
    assert sorted(path.name for path in target.iterdir()) == ["model-2024.npz", "model-2024.onnx"]
    [drop] = find(repository)
    assert (drop.name, drop.source, drop.problem) == ("fraud", target / source.name, "")
    assert source.exists()
    assert hidden(repository) == []


def test_what_lies_in_folders_beside_a_model_keeps_its_place(repository: Path, elsewhere: Path) -> None:
    source = onnx_model(elsewhere / "fraud.onnx", "Abs")
    (elsewhere / "labels").mkdir()
    (elsewhere / "labels" / "classes.txt").write_text("cat\ndog\n")
    (elsewhere / "fraud.yaml").write_text("labels: {y: labels/classes.txt}\n")
    target = inbox.put(repository, "fraud", source)
    assert (target / "labels" / "classes.txt").is_file()
    [drop] = find(repository)
    assert (drop.source, drop.problem) == (target / "fraud.onnx", "")


def test_inputs_are_said_in_the_sidecar_beside_what_it_says_already(repository: Path, elsewhere: Path) -> None:
    source = elsewhere / "net.pt"
    source.write_bytes(b"x")
    (elsewhere / "net.yml").write_text(
        "batches: true\ninputs: [{name: mask, datatype: BOOL, shape: [1]}, {name: image}]\n"
    )
    target = inbox.put(repository, "net", source, [IMAGE])
    assert sorted(path.name for path in target.iterdir()) == ["net.pt", "net.yml"]
    said = yaml.safe_load((target / "net.yml").read_text())
    assert said == {
        "batches": True,
        "inputs": [
            {"name": "mask", "datatype": "BOOL", "shape": [1]},
            {"name": "image", "datatype": "FP32", "shape": [-1, 3, 224, 224]},
        ],
    }
    assert "mask" in (elsewhere / "net.yml").read_text()


def test_inputs_of_a_folder_are_said_inside_of_it(repository: Path, elsewhere: Path) -> None:
    folder = elsewhere / "speech"
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"x")
    target = inbox.put(repository, "speech", folder, [IMAGE])
    assert yaml.safe_load((target / "speech" / "model.yaml").read_text())["inputs"][0]["name"] == "image"


def test_a_sidecar_that_is_none_is_refused_and_nothing_stays(repository: Path, elsewhere: Path) -> None:
    source = elsewhere / "net.pt"
    source.write_bytes(b"x")
    (elsewhere / "net.yaml").write_text("inputs: [")
    with pytest.raises(ModelRefused, match=r"net\.yaml: this is not YAML"):
        inbox.put(repository, "net", source, [IMAGE])
    assert list((repository / INBOX).iterdir()) == []


@pytest.mark.parametrize("name", ["my model", "../fraud", "", "x--candidate"])
def test_a_name_that_cannot_be_one_is_refused(repository: Path, elsewhere: Path, name: str) -> None:
    with pytest.raises(ModelRefused, match="cannot be a model's name"):
        inbox.put(repository, name, elsewhere)


def test_a_source_that_is_not_there_is_named(repository: Path) -> None:
    with pytest.raises(ModelRefused, match=r"none\.onnx: there is no such file"):
        inbox.put(repository, "fraud", Path("none.onnx"))


def test_one_drop_waits_for_the_other_of_the_same_name(repository: Path, elsewhere: Path) -> None:
    source = onnx_model(elsewhere / "fraud.onnx", "Abs")
    inbox.put(repository, "fraud", source)
    with pytest.raises(ModelRefused, match="is being published already"):
        inbox.put(repository, "fraud", source)
    assert hidden(repository) == []


def test_a_drop_can_be_taken_back(repository: Path, elsewhere: Path) -> None:
    target = inbox.put(repository, "fraud", onnx_model(elsewhere / "fraud.onnx", "Abs"))
    inbox.take_back(target)
    inbox.take_back(target)
    assert find(repository) == ()
    assert hidden(repository) == []


def test_a_repository_that_cannot_be_written_is_told_in_one_line(repository: Path, elsewhere: Path) -> None:
    (repository / INBOX.parts[0]).write_text("in the way")
    with pytest.raises(SetupError, match="fraud: cannot read or write"):
        inbox.put(repository, "fraud", onnx_model(elsewhere / "fraud.onnx", "Abs"))


def test_what_killed_processes_left_is_removed_and_what_is_being_copied_is_not(repository: Path) -> None:
    inbox.open_in(repository)
    for name, age in ((".old.1", 9000), (".new.1", 0)):
        folder = repository / INBOX / name
        folder.mkdir()
        (folder / "model.onnx").write_bytes(b"x")
        for path in (folder / "model.onnx", folder):
            seconds = path.stat().st_mtime - age
            os.utime(path, (seconds, seconds))
    inbox.open_in(repository)
    assert hidden(repository) == [".new.1"]
