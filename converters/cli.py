"""The command line: `triton-convert`."""

from __future__ import annotations

import importlib
import traceback
from typing import Any

import click

from converters.errors import FAILED, INTERRUPTED, ConversionError
from converters.nearest import nearest
from converters.placed import placed

# Imported when they are asked for: each brings libraries that the others do not need.
COMMANDS = {
    "build": "converters.commands.build",
    "bench": "converters.commands.bench",
    "cache": "converters.commands.cache",
    "engine": "converters.commands.engine",
    "inspect": "converters.commands.inspect",
    "onnx": "converters.commands.onnx",
    "precision": "converters.commands.precision",
    "schema": "converters.commands.schema",
    "verify": "converters.commands.verify",
}


class Commands(click.Group):
    """A group whose errors end as one line and their own exit code, never as a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names of all commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - likewise
        """One command; its module is imported now."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments name, or else the one that may be meant."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"there is no command {args[0]!r}; {nearest(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            with placed("", ""):
                return super().invoke(ctx)
        except ConversionError as error:
            _fail(str(error), error.exit_code)
        except KeyboardInterrupt:
            _fail("interrupted", INTERRUPTED)
        except (click.exceptions.Exit, click.ClickException, click.Abort, BrokenPipeError):
            raise  # click's own: it tells them
        except Exception as error:
            if ctx.params["debug"]:
                traceback.print_exception(error)
            _fail(_unforeseen(error), FAILED)


def _unforeseen(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and not f"{error.name}.".startswith(f"{__package__}."):
        return f"{error.name} is not installed, which this needs; pip install 'triton-gateway[convert]'"
    told = " ".join(str(error).split())[:300]
    again = "report it with what 'triton-convert --debug ...' prints"
    return f"this is a mistake in triton-convert ({type(error).__name__}: {told}); {again}"


def _fail(message: str, code: int) -> None:
    click.secho(f"error: {' '.join(message.split())}", err=True, fg="red")
    raise SystemExit(code) from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="triton-gateway")
@click.option("--debug", is_flag=True, help="Show where in the code an unforeseen error arose.")
def main(debug: bool) -> None:
    """Any model to ONNX, FP16, BF16, INT8 and TensorRT engines, gated on accuracy.

    Exit codes: 0 all is well, 1 something failed, 2 misuse, 3 a gate failed, 130 interrupted.
    """
