import subprocess
import sys
from pathlib import Path

import pytest

from converters.cli import COMMANDS, main
from converters.commands import schema
from converters.errors import ConfigError, ConversionError, GateFailed
from tests.converters.commands.running import refused, run

_FRAMEWORKS = "torch tensorflow onnx onnxruntime sklearn xgboost lightgbm tf2onnx skl2onnx tensorrt_rtx"


def raises(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(schema.command, "callback", fail)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_has_help(command: str) -> None:
    result = run(*filter(None, [command]), "--help")
    assert result.exit_code == 0
    assert "Usage: " in result.output
    assert "..." not in result.output.partition("Commands:")[2]  # each fits its line


def test_help_waits_for_no_framework() -> None:
    code = (
        "import sys, converters.cli as cli\n"
        "for name in cli.COMMANDS: cli.main.get_command(None, name)\n"
        f"print(sorted(set(sys.modules) & set('{_FRAMEWORKS}'.split())))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=_root())
    assert told.stdout.strip() == "[]"


def _root() -> Path:
    return Path(__file__).parents[2]


def test_a_wrong_name_is_misuse_and_says_which_is_meant() -> None:
    result = run("onxx")
    assert result.exit_code == 2
    assert "there is no command 'onxx'; did you mean 'onnx'?" in result.stderr


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (
            ConversionError("it is odd", hint="mend it").at(model="m", step="int8", node="n"),
            1,
            "m, int8, node n: it is",
        ),
        (ConfigError("it is wrong", hint="mend it"), 2, "it is wrong; mend it"),
        (GateFailed("it is bad\nand worse", hint="mend it"), 3, "it is bad and worse; mend it"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 1, "the machine has no memory left"),
        (PermissionError(13, "Permission denied", "/x"), 1, "'/x' cannot be used: Permission denied"),
        (ModuleNotFoundError("No module named 'onnx'", name="onnx"), 1, "onnx is not installed, which this needs; pip"),
        (ModuleNotFoundError("no", name="converters.x"), 1, "a mistake in triton-convert (ModuleNotFoundError: no)"),
        (TypeError("a\nb"), 1, "this is a mistake in triton-convert (TypeError: a b); report it"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_errors_end_as_one_line_and_an_exit_code(
    error: BaseException, code: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raises(error, monkeypatch)
    assert told in refused(code, "schema")


def test_debug_shows_where_an_unforeseen_error_arose(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raises(TypeError("odd"), monkeypatch)
    result = run("--debug", "schema")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr + capsys.readouterr().err


def test_the_version_is_told() -> None:
    assert main.name
    assert "version" in run("--version").output
