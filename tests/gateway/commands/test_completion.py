from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from gateway.cli import main
from tests.gateway.commands.rig import Rig


def completed(words: list[str], incomplete: str) -> list[str]:
    completion = ShellComplete(main, {}, "triton-gateway", "_TRITON_GATEWAY_COMPLETE")
    return [item.value for item in completion.get_completions(words, incomplete)]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_for_the_program(shell: str) -> None:
    result = CliRunner().invoke(main, ["completion", shell])
    assert result.exit_code == 0
    assert "triton-gateway" in result.stdout
    assert "_TRITON_GATEWAY_COMPLETE" in result.stdout


def test_another_shell_is_refused() -> None:
    assert CliRunner().invoke(main, ["completion", "tcsh"]).exit_code == 1


def test_commands_are_completed_without_being_imported_twice() -> None:
    assert "models" in completed([], "mo")
    assert completed(["models"], "ro") == ["rollback"]


def test_names_of_models_are_completed(rig: Rig, model: Path) -> None:
    for name in ("fraud", "fraud-2", "digits"):
        rig.by_hand(name, model)
    (rig.repository / "frames.onnx").write_bytes(b"")
    repository = ["--set", f"repository.path={rig.repository}"]
    for command in ("show", "versions", "rollback", "retire", "remove", "publish", "validate"):
        assert completed(["models", command, *repository], "fr") == ["fraud", "fraud-2"]


def test_a_repository_that_cannot_be_read_completes_nothing(rig: Rig) -> None:
    assert completed(["models", "show", "--set", "repository.path=/none"], "fr") == []
