import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from gateway.commands import options
from gateway.core.errors import ConfigError, ModelRefused


@click.group(cls=options.Commands, elsewhere={"completion": "gateway.commands.completion"})
def program() -> None:
    """A program."""


@program.command()
@options.name_of_model
@options.as_json
@options.configured
def refuse(name: str, as_json: bool, path: Path | None, overrides: tuple[str, ...]) -> None:
    """Refuse a model."""
    options.load_config(path, overrides, ())
    raise ModelRefused(f"{name} is a pickle")


@program.command()
def stop() -> None:
    """Stop as somebody who presses Ctrl-C."""
    raise KeyboardInterrupt


@program.command()
@options.configured
@options.frameworks
def show(path: Path | None, overrides: tuple[str, ...], frameworks: tuple[str, ...]) -> None:
    """Show the frameworks."""
    options.echo_json(options.load_config(path, overrides, frameworks).repository.frameworks)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(program, arguments)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_refusal_is_one_line_and_exit_code_1() -> None:
    result = run("refuse", "m")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "Error: m is a pickle\n")


def test_with_json_a_refusal_is_json_on_standard_output() -> None:
    result = run("refuse", "m", "--json")
    assert (result.exit_code, result.stderr) == (1, "")
    assert json.loads(result.stdout) == {"name": "m", "version": None, "state": "refused", "reason": "m is a pickle"}


def test_a_wrong_configuration_is_json_too() -> None:
    result = run("refuse", "m", "--json", "--set", "http.prot=1")
    assert "did you mean 'port'?" in json.loads(result.stdout)["reason"]


@pytest.mark.parametrize("arguments", [("--none",), ("none",), ("refuse",), ("refuse", "m", "--none")])
def test_misuse_is_exit_code_1(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert "Usage:" in result.stderr


def test_ctrl_c_ends_without_a_traceback() -> None:
    result = run("stop")
    assert (result.exit_code, "Traceback" in result.output) == (1, False)


def test_commands_elsewhere_are_listed_and_found() -> None:
    assert "completion" in run("--help").stdout
    assert run("completion", "--help").exit_code == 0


def test_frameworks_of_the_command_line_are_the_configurations() -> None:
    assert json.loads(run("show", "--framework", "onnx", "--framework", "trees").stdout) == ["onnx", "trees"]
    assert json.loads(run("show").stdout) is None


def test_the_file_in_the_folder_is_taken_where_there_is_one(elsewhere: Path) -> None:
    assert options.or_default(None) is None
    (elsewhere / "configs").mkdir()
    (elsewhere / "configs" / "gateway.yaml").write_text("nothing: 1\n")
    assert options.or_default(None) == options.DEFAULT_CONFIG
    assert options.or_default(Path("mine.yaml")) == Path("mine.yaml")
    with pytest.raises(ConfigError, match="unknown key 'nothing'"):
        options.load_config(None, (), ())
