import os
from pathlib import Path

import pytest

from gateway.repository import rehearsal
from gateway.repository.scan import SAFE_NAME


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "prepared"
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "model.onnx").write_bytes(b"weights")
    (folder / "labels.txt").write_text("cat\n")
    (folder / ".triton-gateway.json").write_text("{}")
    (folder / "config.pbtxt").write_text('name: "prepared"\nbackend: "onnxruntime"\n')
    (tmp_path / "into").mkdir()
    return folder


@pytest.mark.parametrize("model", ["a", "m" * 128])
def test_a_candidate_s_name_is_safe_shows_what_it_is_and_is_new_each_time(model: str) -> None:
    name = rehearsal.candidate_name(model)
    assert SAFE_NAME.fullmatch(name)
    assert rehearsal.is_candidate(name)
    assert name[:1] == model[:1]
    assert rehearsal.candidate_name(model) != name


@pytest.mark.parametrize("take", [rehearsal.take_by_link, rehearsal.take_whole])
def test_a_candidate_has_everything_under_a_name_of_its_own(folder: Path, take: rehearsal.Take) -> None:
    place = rehearsal.stage(folder, folder.parent / "into", "a--candidate", take)
    assert (place / "1" / "model.onnx").read_bytes() == b"weights"
    assert (place / "labels.txt").read_text() == "cat\n"
    config = (place / "config.pbtxt").read_text()
    assert '"a--candidate"' in config
    assert '"prepared"' not in config
    assert 'backend: "onnxruntime"' in config
    assert sorted(path.name for path in place.iterdir()) == ["1", "config.pbtxt", "labels.txt"]
    assert [path.name for path in (folder.parent / "into").iterdir()] == ["a--candidate"]


def test_weights_are_shared_and_not_copied(folder: Path) -> None:
    place = rehearsal.stage(folder, folder.parent / "into", "a--candidate", rehearsal.take_whole)
    assert (place / "1" / "model.onnx").samefile(folder / "1" / "model.onnx")
    assert not (place / "1").is_symlink()


def test_a_candidate_that_cannot_be_made_leaves_nothing(folder: Path) -> None:
    def fail(source: Path, target: Path) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        rehearsal.stage(folder, folder.parent / "into", "a--candidate", fail)
    assert list((folder.parent / "into").iterdir()) == []


def test_what_a_killed_rehearsal_left_is_cleared_and_one_that_runs_is_not(tmp_path: Path) -> None:
    old, hidden, new, model = (tmp_path / name for name in ("a--candidate", ".b--candidate", "c--candidate", "d"))
    for path in (old, hidden, new, model):
        path.mkdir()
    for path in (old, hidden, model):
        os.utime(path, (1, 1))
    rehearsal.clear_forgotten(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"c--candidate", "d"}
