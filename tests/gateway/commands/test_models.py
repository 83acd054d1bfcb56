import shutil
from pathlib import Path

import pytest

from gateway.repository.description import Prepared
from tests.gateway.commands.rig import Rig, Running

Versions = tuple[Prepared, Prepared]


def test_an_empty_repository_says_how_to_begin(rig: Rig) -> None:
    assert "models add FILE" in " ".join(rig.run("list").out.split())
    assert rig.run("list", "--json").data == []


def test_the_list_has_folders_and_drops_without_a_gateway(rig: Rig, model: Path, versions: Versions) -> None:
    rig.put("fraud", versions[0])
    (rig.repository / "config" / "1").mkdir(parents=True)
    shutil.copy(model, rig.repository / "waiting.onnx")
    told = {each["name"]: each for each in rig.run("list", "--json").data}
    assert told["fraud"]["state"] == "unknown"
    assert told["fraud"]["kind"] == "onnx"
    assert "no version folder" in told["config"]["problem"]
    assert told["waiting"]["state"] == "dropped"


def test_the_list_says_what_a_running_gateway_says(rig: Rig, versions: Versions) -> None:
    rig.put("fraud", versions[0])
    with Running(rig) as running:
        running.until(running.site.states)
        [told] = rig.run("list", "--json").data
    assert (told["state"], told["serving"], told["sites"]) == ("ready", [1], {"triton": "ready"})


def test_80_columns_are_enough_for_long_names_and_reasons(rig: Rig, model: Path) -> None:
    name = "a-model-with-a-name-that-is-longer-than-a-terminal-is-wide-" * 2 + "x"
    folder = rig.by_hand(name, model)
    (folder / "1" / "model.onnx").unlink()
    shown = rig.run("list").out
    assert max(map(len, shown.splitlines())) <= 80
    assert "unknown" in shown


def test_show_tells_everything_about_one_model(rig: Rig, versions: Versions) -> None:
    rig.put("fraud", versions[0])
    shown = rig.run("show", "fraud").out
    for words in ("onnx", "any x 4", "same answer", "fraud.onnx", "curl"):
        assert words in shown
    told = rig.run("show", "fraud", "--json").data
    assert told["calls"].keys() == {"curl", "python-http", "python-grpc", "javascript"}
    assert "tritonclient" in rig.run("show", "fraud", "--call", "python-grpc").out


def test_a_call_is_addressed_to_the_gateway_that_runs(rig: Rig, running: Running, versions: Versions) -> None:
    rig.put("fraud", versions[0])
    assert "localhost:8000/v2/models/fraud" in rig.run("show", "fraud", "--call", "curl").out


def test_a_call_of_a_model_that_nobody_knows_is_refused(rig: Rig, model: Path) -> None:
    rig.by_hand("digits", model)
    refused = rig.run("show", "digits", "--call", "curl")
    assert refused.code == 1
    assert "its inputs are not known" in refused.err
    assert rig.run("show", "digits").code == 0


def test_versions_are_listed_the_newest_first(rig: Rig, versions: Versions) -> None:
    rig.put("fraud", *versions)
    rig.run("rollback", "fraud")
    told = rig.run("versions", "fraud", "--json").data
    assert [(each["version"], each["state"]) for each in told] == [(2, "retired"), (1, "serving")]
    shown = rig.run("versions", "fraud").out
    assert "retired" in shown
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("command", ["show", "versions"])
def test_a_model_that_is_not_there_is_named_with_the_nearest(rig: Rig, versions: Versions, command: str) -> None:
    rig.put("fraud", versions[0])
    told = rig.run(command, "frau", "--json")
    assert (told.code, told.data["state"]) == (1, "refused")
    assert "did you mean 'fraud'?" in told.data["reason"]
    assert "`triton-gateway models list`" in rig.run(command, "zebra").err.replace("\n", " ")
