import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.repository.description import Prepared
from tests.gateway.commands.rig import Rig, Running


@pytest.fixture
def fraud(rig: Rig, versions: tuple[Prepared, Prepared]) -> None:
    """A model with two versions."""
    rig.put("fraud", *versions)


@pytest.fixture
def following(fraud: None, rig: Rig) -> Iterator[Running]:
    """A gateway that serves it."""
    with Running(rig) as running:
        yield running


def test_a_rollback_serves_the_earlier_version(rig: Rig, following: Running) -> None:
    told = rig.run("rollback", "fraud", "--json")
    assert (told.code, told.data) == (0, {"name": "fraud", "version": 1, "state": "served", "reason": ""})
    assert rig.run("rollback", "fraud", "--to", 2).out == "✓ fraud version 2 is served\n"


def test_a_rollback_without_a_gateway_changes_the_folder(rig: Rig, fraud: None) -> None:
    assert rig.run("rollback", "fraud", "--json").data["state"] == "published"
    assert not (rig.repository / "fraud" / "2").exists()


def test_a_rollback_to_nothing_is_refused(rig: Rig, fraud: None) -> None:
    told = rig.run("rollback", "fraud", "--to", 7, "--json")
    assert (told.code, told.data["name"], told.data["state"]) == (1, "fraud", "refused")


def test_a_version_is_retired(rig: Rig, fraud: None) -> None:
    assert rig.run("retire", "fraud", 2, "--json").data["version"] == 1
    refused = rig.run("retire", "fraud", 1, "--json")
    assert (refused.code, refused.data["version"], refused.data["state"]) == (1, 1, "refused")


def test_a_model_is_removed_when_that_was_confirmed(rig: Rig, fraud: None) -> None:
    declined = rig.run("remove", "fraud", answer="n\n")
    assert (declined.code, declined.out) == (1, "")
    assert "Remove fraud with 2 versions?" in declined.err
    assert (rig.repository / "fraud").exists()
    told = rig.run("remove", "fraud", "--json", answer="y\n")
    assert (told.code, told.data) == (0, {"name": "fraud", "version": None, "state": "removed", "reason": ""})
    assert not (rig.repository / "fraud").exists()


def test_a_removed_model_is_unloaded_when_the_command_ends(rig: Rig, following: Running) -> None:
    assert rig.run("remove", "fraud", "--yes").out == "✓ fraud is removed\n"
    assert following.site.calls[-1] == ("unload", "fraud")


def test_removing_goes_by_the_folder_and_not_by_a_refused_drop(rig: Rig, following: Running, damaged: Path) -> None:
    shutil.copy(damaged, rig.repository / "fraud.onnx")
    assert rig.run("remove", "fraud", "--yes").code == 0


def test_a_model_that_is_not_there_is_named_with_the_nearest(rig: Rig, fraud: None) -> None:
    for command in (("rollback", "frud"), ("retire", "frud", 1), ("remove", "frud", "--yes")):
        told = rig.run(*command, "--json")
        assert told.code == 1
        assert "did you mean 'fraud'?" in told.data["reason"]


def test_misuse_is_exit_code_1(rig: Rig) -> None:
    assert rig.run("retire", "fraud", "newest").code == 1
    assert rig.run("rollback").code == 1
    assert rig.run("nothing").code == 1


def test_a_scaffold_is_a_model_to_begin_with(rig: Rig, tmp_path: Path) -> None:
    told = rig.run("scaffold", "classifier")
    assert told.code == 0
    assert (rig.repository / "classifier" / "1" / "model.py").is_file()
    again = rig.run("scaffold", "classifier", "--json")
    assert (again.code, again.data["state"]) == (1, "refused")
    (tmp_path / "elsewhere").mkdir()
    written = rig.run("scaffold", "other", "--into", tmp_path / "elsewhere", "--json").data
    assert all(Path(file).is_file() for file in written["files"])
