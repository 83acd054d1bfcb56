import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.config import Config
from gateway.repository import samples
from gateway.repository.samples import Sample
from gateway.sockets import bind


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands run in an empty folder, without the checkout's own configuration."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_help_lists_what_there_is() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for command in ("up", "serve", "status", "models", "config", "completion"):
        assert f"  {command} " in result.output
    assert "data process" not in result.output


def test_the_version_is_the_distributions() -> None:
    assert "version" in run("--version").output


def test_config_check_prints_everything_that_holds() -> None:
    result = run("config", "check", "--set", "http.port=9000")
    assert json.loads(result.output) == Config.model_validate({"http": {"port": 9000}}).model_dump(mode="json")


def test_the_configuration_in_the_folder_is_used(elsewhere: Path) -> None:
    (elsewhere / "configs").mkdir()
    (elsewhere / "configs/gateway.yaml").write_text("http: {prot: 1}\n")
    result = run("config", "check")
    assert result.exit_code == 1
    assert result.output == "Error: configs/gateway.yaml:1: unknown key 'http.prot'; did you mean 'port'?\n"


def test_the_schema_is_the_configurations() -> None:
    assert json.loads(run("config", "schema").output) == Config.model_json_schema()


def test_serve_needs_an_external_triton() -> None:
    result = run("serve")
    assert result.exit_code == 1
    assert "no external Triton is configured: add `upstreams:" in result.output


def test_a_port_in_use_ends_up_in_one_line() -> None:
    with bind("127.0.0.1", 0, "a test's port") as taken:
        port = taken.getsockname()[1]
        result = run("up", "--set", f"http.port={port}", "--set", "http.host=127.0.0.1")
    assert result.exit_code == 1
    assert result.output == (
        f"Error: port {port} (http.port) on 127.0.0.1 is in use; stop what uses it, or set another\n"
    )


def test_models_list_says_what_can_be_served(elsewhere: Path) -> None:
    model = elsewhere / "model_repository" / "m"
    (model / "1").mkdir(parents=True)
    (model / "1" / "model.py").write_text("")
    (model / "config.pbtxt").write_text('backend: "python"')
    (elsewhere / "model_repository" / "n" / "1").mkdir(parents=True)
    good, bad = json.loads(run("models", "list", "--json").output)
    assert (good["name"], good["state"], good["problem"]) == ("m", "unknown", None)
    assert (bad["name"], "no version folder with a model file" in bad["problem"]) == ("n", True)
    assert "n: there is no version folder" in run("models", "list").output


def test_misuse_is_exit_code_1_because_2_says_that_something_is_not_served() -> None:
    for arguments in (("--none",), ("none",), ("up", "--none"), ("models", "none"), ("config", "none")):
        assert run(*arguments).exit_code == 1


def test_models_fetch_says_what_is_there_already(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetched(repository: Path, frameworks: object, console: object, *, sources: bool) -> tuple[Sample, ...]:
        assert repository == Path("model_repository")
        return (Sample("magika", "present"), Sample("minilm", "present" if sources else "skipped"))

    monkeypatch.setattr(samples, "fetch_samples", fetched)
    assert run("models", "fetch").output == "magika: already there\n"
    assert run("models", "fetch", "--sources").output == "magika: already there\nminilm: already there\n"


def test_a_missing_repository_is_named() -> None:
    result = run("models", "list")
    assert result.exit_code == 1
    assert "model_repository" in result.output
    assert "Traceback" not in result.output


def test_status_without_a_gateway_says_so() -> None:
    with bind("127.0.0.1", 0, "a test's port") as free:
        port = free.getsockname()[1]
    result = run("status", "--set", f"control.port={port}")
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: no gateway answers at 127.0.0.1:{port} (control.port); start one with")
