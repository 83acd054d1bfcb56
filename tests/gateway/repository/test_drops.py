import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.repository import drops, rehearsal
from gateway.repository.drops import INBOX, Drop, find, is_being_written, is_model_folder, mark, signature


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def put(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def only(repository: Path) -> Drop:
    [drop] = find(repository)
    return drop


def test_a_model_file_is_a_drop_of_its_own_name(repository: Path) -> None:
    source = put(repository / "fraud.onnx")
    assert only(repository) == Drop("fraud", source, (source,))


def test_sidecars_belong_to_the_file_beside_them(repository: Path) -> None:
    source = put(repository / "fraud.pt")
    beside = {put(repository / "fraud.yaml"), put(repository / "fraud.npz")}
    assert only(repository).files[0] == source
    assert set(only(repository).files[1:]) == beside


def test_a_folder_that_is_no_model_folder_is_a_drop(repository: Path) -> None:
    put(repository / "speech" / "saved_model.pb")
    assert only(repository).source == repository / "speech"


@pytest.mark.parametrize("inside", ["config.pbtxt", "1/model.onnx", ".triton-gateway.json"])
def test_a_model_folder_is_none(repository: Path, inside: str) -> None:
    put(repository / "digits" / inside)
    assert is_model_folder(repository / "digits")
    assert find(repository) == ()


@pytest.mark.parametrize(
    "name", ["README.md", "manifest.yaml", ".hidden.onnx", "notes.txt", "labels.json", "LICENSE", "x--candidate"]
)
def test_what_is_no_model_is_passed_over(repository: Path, name: str) -> None:
    put(repository / name, b"nothing of interest")
    (repository / "empty").mkdir()
    assert find(repository) == ()


def test_a_text_that_is_a_lightgbm_model_is_a_drop(repository: Path) -> None:
    put(repository / "trees.txt", b"tree\nversion=v4\nnum_class=1\n")
    assert only(repository).name == "trees"


def test_two_files_of_one_name_are_told_apart_by_nobody(repository: Path) -> None:
    put(repository / "fraud.onnx")
    put(repository / "fraud.pt")
    assert "fraud.onnx and fraud.pt would be one model" in only(repository).problem


def test_a_name_that_triton_cannot_take_is_a_problem(repository: Path) -> None:
    put(repository / "my model.onnx")
    assert "rename it" in only(repository).problem


def test_the_inbox_gives_the_name_by_its_folder(repository: Path) -> None:
    put(repository / INBOX / "fraud" / "model-2024.onnx")
    put(repository / INBOX / "fraud" / "model-2024.yaml")
    drop = only(repository)
    assert (drop.name, drop.source.name, drop.problem) == ("fraud", "model-2024.onnx", "")
    assert drop.files == (repository / INBOX / "fraud",)


def test_an_unfinished_copy_into_the_inbox_is_not_seen(repository: Path) -> None:
    put(repository / INBOX / ".fraud.copying" / "model.onnx")
    assert find(repository) == ()


def test_a_signature_changes_with_any_file_of_a_folder(repository: Path) -> None:
    inside = put(repository / "speech" / "variables" / "data")
    before = signature([repository / "speech"])
    os.utime(inside, (1, 1))
    assert signature([repository / "speech"]) != before
    assert signature([repository / "gone"]) == ()


def test_a_file_that_somebody_writes_is_told_of(repository: Path) -> None:
    path = put(repository / "large.onnx")
    hold = "import sys; f = open(sys.argv[1], 'ab'); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        assert is_being_written([repository])
        writer.communicate()
    assert not is_being_written([path])


def test_a_link_is_not_followed_in_a_signature(repository: Path, tmp_path: Path) -> None:
    outside = put(tmp_path / "outside" / "file")
    (repository / "speech").mkdir()
    (repository / "speech" / "link").symlink_to(outside.parent)
    put(repository / "speech" / "saved_model.pb")
    assert not any("outside" in line[0] for line in signature([repository / "speech"]))


def test_candidates_are_never_drops(repository: Path) -> None:
    put(repository / f"fraud{rehearsal.CANDIDATE}" / "1" / "model.onnx")
    assert find(repository) == ()


def test_files_of_one_name_belong_together_so_that_a_change_of_either_is_seen(repository: Path) -> None:
    both = {put(repository / "fraud.onnx"), put(repository / "fraud.pt")}
    assert set(only(repository).files) == both


def test_a_folder_beside_a_model_that_its_sidecar_names_is_no_drop(repository: Path) -> None:
    source = put(repository / "fraud.pt")
    put(repository / "labels" / "classes.txt", b"cat")
    put(repository / "fraud.yaml", b"labels: {scores: labels/classes.txt}")
    assert only(repository).source == source


def test_a_folder_that_goes_away_meanwhile_is_passed_over(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(repository / "speech" / "saved_model.pb")

    def gone(_: Path) -> bool:
        raise FileNotFoundError

    monkeypatch.setattr(drops, "is_model_folder", gone)
    assert find(repository) == ()


def test_an_entry_that_cannot_be_read_is_a_problem(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(repository / "speech" / "saved_model.pb")

    def refuse(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(drops, "is_model_folder", refuse)
    assert only(repository).problem == "speech: cannot be read (Permission denied); allow it"


def test_a_mark_is_the_same_by_every_way_to_the_repository(repository: Path, tmp_path: Path) -> None:
    put(repository / "fraud.onnx")
    (tmp_path / "link").symlink_to(repository)
    one, other = signature([repository / "fraud.onnx"]), signature([tmp_path / "link" / "fraud.onnx"])
    assert one != other
    assert mark(one) == mark(other)
    os.utime(repository / "fraud.onnx", (1, 1))
    assert mark(signature([repository / "fraud.onnx"])) != mark(one)
