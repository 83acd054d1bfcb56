"""Commands, run in this process, and a small model to run them on."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from converters.cli import main


def run(*arguments: str | Path) -> Result:
    """Run `triton-convert` with these arguments."""
    return CliRunner().invoke(main, [str(each) for each in arguments])


def refused(code: int, *arguments: str | Path) -> str:
    """The one line that a command ends with, which must exit with this code and tell nothing else."""
    result = run(*arguments)
    assert result.exit_code == code, result.output
    lines = result.stderr.splitlines()
    assert lines[-1].startswith("error: "), result.stderr
    assert not result.exception or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return lines[-1].removeprefix("error: ")
