import shutil
from pathlib import Path

import pytest

from gateway.repository.description import Prepared
from gateway.repository.drops import INBOX
from tests.gateway.commands.rig import Rig, Running
from tests.gateway.repository.dropped import python_model

Versions = tuple[Prepared, Prepared]


def test_inspecting_says_what_a_file_is(rig: Rig, model: Path) -> None:
    told = rig.run("inspect", model, "--json")
    assert (told.code, told.data["kind"], told.data["batches"]) == (0, "onnx", True)
    assert told.data["inputs"][0]["shape"] == [-1, 4]
    shown = rig.run("inspect", model)
    assert "any x 4" in shown.out
    assert not (rig.repository / ".triton-gateway").exists()


def test_validating_a_file_shows_its_checks(rig: Rig, model: Path) -> None:
    told = rig.run("validate", model, "--json").data
    assert told["checks"][0]["name"] == "load"
    assert "onnxruntime" in told["config"]
    assert "✓ load" in rig.run("validate", model).out


def test_validating_a_model_of_the_repository_by_its_name(rig: Rig, versions: Versions) -> None:
    rig.put("fraud", versions[0])
    told = rig.run("validate", "fraud", "--json")
    assert told.code == 0
    assert told.data["description"]["kind"] == "triton"
    assert told.data["checks"]


def test_changed_files_are_taken_as_they_are_when_somebody_says_so(rig: Rig, versions: Versions, other: Path) -> None:
    rig.put("fraud", versions[0])
    with Running(rig) as running:
        running.until(lambda: running.site.calls)
        (rig.repository / "fraud" / "1" / "model.onnx").unlink()
        shutil.copy(other, rig.repository / "fraud" / "1" / "model.onnx")
        running.until(lambda: running.board.status["repository"]["models"]["fraud"]["state"] == "refused")
        accepted = rig.run("validate", "fraud", "--accept")
        assert (accepted.code, "are taken as they are now" in accepted.out) == (0, True)
        running.until(lambda: running.site.calls == [("load", "fraud")] * 2)


def test_without_a_gateway_a_model_is_published_and_the_file_stays(rig: Rig, model: Path) -> None:
    told = rig.run("add", model, "--json")
    assert told.code == 0
    assert told.data == {
        "name": "fraud",
        "version": 1,
        "state": "published",
        "reason": "no gateway follows this repository now",
    }
    assert (rig.repository / "fraud" / "1" / "model.onnx").is_file()
    assert model.exists()


def test_with_a_gateway_it_is_served_when_the_command_ends(
    rig: Rig, running: Running, model: Path, other: Path
) -> None:
    added = rig.run("add", model)
    assert (added.code, added.out) == (0, "✓ fraud version 1 is served\n")
    told = rig.run("publish", "fraud", other, "--json")
    assert (told.code, told.data) == (0, {"name": "fraud", "version": 2, "state": "served", "reason": ""})
    assert running.site.calls == [("load", "fraud"), ("rehearse", "fraud"), ("load", "fraud")]
    assert other.exists()
    again = rig.run("publish", "fraud", other, "--json")
    assert again.data["version"] == 2


def test_a_gateway_that_does_not_watch_is_not_waited_for(rig: Rig, model: Path) -> None:
    with Running(rig, {"watch": False}):
        assert rig.run("add", model, "--json").data["state"] == "published"


def test_a_name_can_be_chosen(rig: Rig, model: Path) -> None:
    assert rig.run("add", model, "--name", "swindle", "--json").data["name"] == "swindle"
    assert (rig.repository / "swindle" / "1").is_dir()


def test_adding_a_model_that_is_there_says_what_to_do(rig: Rig, model: Path) -> None:
    rig.by_hand("fraud", model)
    refused = rig.run("add", model)
    assert refused.code == 1
    assert "triton-gateway models publish fraud" in refused.err.replace("\n", " ")
    assert refused.out == ""


@pytest.mark.parametrize("running_too", [False, True])
def test_a_refusal_is_json_too_and_leaves_nothing_behind(rig: Rig, damaged: Path, running_too: bool) -> None:
    if running_too:
        with Running(rig):
            told = rig.run("add", damaged, "--json")
    else:
        told = rig.run("add", damaged, "--json")
    assert told.code == 1
    assert {**told.data, "reason": ""} == {"name": "fraud", "version": None, "state": "refused", "reason": ""}
    assert "fraud.onnx" in told.data["reason"]
    assert not (rig.repository / "fraud").exists()
    assert not (rig.repository / INBOX / "fraud").exists()


def test_a_mended_file_is_taken_at_once_after_a_refusal(rig: Rig, running: Running, damaged: Path, model: Path) -> None:
    assert rig.run("add", damaged).code == 1
    assert rig.run("add", model).code == 0


def test_published_but_not_served_is_exit_code_2(rig: Rig, running: Running, model: Path, other: Path) -> None:
    running.site.failures["fraud"] = "no memory on the GPU"
    told = rig.run("add", model, "--json")
    assert (told.code, told.data["state"], told.data["reason"]) == (2, "failed", "triton: no memory on the GPU")
    running.site.failures.clear()
    mended = rig.run("publish", "fraud", other)
    assert (mended.code, mended.out) == (0, "✓ fraud version 2 is served\n")


@pytest.mark.parametrize("command", [("inspect",), ("validate",), ("add",), ("publish", "fraud")])
def test_a_file_that_is_not_there_is_refused(rig: Rig, command: tuple[str, ...]) -> None:
    told = rig.run(*command, "none.onnx", "--json")
    assert (told.code, told.data["state"]) == (1, "refused")
    assert "none.onnx" in told.data["reason"]


def test_inputs_are_told_on_the_command_line(rig: Rig, tmp_path: Path) -> None:
    folder = python_model(tmp_path / "doubler")
    told = rig.run("inspect", folder, "--input", "x:FP32:-1,4", "--json")
    assert (told.code, told.data["kind"]) == (0, "python")
    assert "expected NAME:DTYPE:DIMS" in rig.run("inspect", folder, "--input", "x").err.replace("\n", " ")
